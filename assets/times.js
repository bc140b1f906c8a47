// Times in UTC, as they come, or in the reader's own zone: a switch, kept in this browser.
//
//   <time datetime>             its title is the exact time
//   <time datetime data-clock>  its text is the time of day
//   data-zone                   the text of this element is the zone
//   .chart svg text             hours and minutes on an axis

const KEY = "evenkeel-times";
const button = document.getElementById("times");
let isLocal = read() === "local";

// Browsers that keep nothing refuse the store itself.
function read() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(word) {
  try {
    localStorage.setItem(KEY, word);
  } catch {
    // The choice holds until the next page.
  }
}

const two = (n) => String(n).padStart(2, "0");

function offset(at) {
  const minutes = -at.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

// The digits of a second are copied: dates know no more than milliseconds.
function local(exact) {
  const at = new Date(exact);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const seconds = exact.slice(17).replace(/Z$/, "");
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${seconds}${offset(at)}`;
}

function shifted(clock) {
  const [hours, minutes] = clock.split(":").map(Number);
  const day = 24 * 60;
  const there = (hours * 60 + minutes - new Date().getTimezoneOffset() + day) % day;
  return `${two(Math.floor(there / 60))}:${two(there % 60)}`;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const exact = time.getAttribute("datetime");
    const seen = isLocal ? local(exact) : exact;
    if (time.title) time.title = seen;
    if (time.dataset.clock !== undefined) setText(time, seen.slice(11, 11 + time.textContent.length));
  }
  for (const zone of document.querySelectorAll("[data-zone]")) setText(zone, isLocal ? "local" : "UTC");
  for (const label of document.querySelectorAll(".chart svg text")) {
    const clock = label.dataset.utc ?? label.textContent.trim();
    if (!/^\d\d:\d\d$/.test(clock)) continue;
    label.dataset.utc = clock;
    setText(label, isLocal ? shifted(clock) : clock);
  }
  button.textContent = isLocal ? "Local" : "UTC";
}

button.hidden = false;
button.addEventListener("click", () => {
  isLocal = !isLocal;
  keep(isLocal ? "local" : "utc");
  show();
});
// Regions are loaded again, see live.js. What is set here is set to what it is, so this comes to rest.
new MutationObserver(show).observe(document.getElementById("main"), { childList: true, subtree: true });
show();
