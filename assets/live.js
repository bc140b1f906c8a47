// One stream of the server feeds the page.
//
//   data-live="name"      the text of this element is the value of that name; one with data-state gets it as well
//   data-hide="value"     hidden while the text is this value
//   data-refresh          this region is loaded again when something has changed; it needs an id
//
// The stream is closed while the tab is hidden, and while the reader has paused it. Other modules hear of each message
// by the event `evenkeel:live` of the document, whose detail holds all values.

const button = document.getElementById("live");
const WORDS = { on: "Live", wait: "Connecting", paused: "Paused", off: "Off" };
let stream = null;
let paused = false;
let version = null;
let loading = false;

function show(state) {
  button.dataset.state = state;
  button.textContent = WORDS[state];
  button.setAttribute("aria-pressed", String(state === "paused"));
}

function open() {
  if (stream || paused || document.hidden) return;
  show("wait");
  stream = new EventSource("/live");
  stream.onopen = () => show("on");
  // The browser connects again by itself, unless the server has refused.
  stream.onerror = () => {
    show(stream && stream.readyState === EventSource.CLOSED ? "off" : "wait");
    if (stream && stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 5000);
    }
  };
  stream.addEventListener("now", (message) => apply(JSON.parse(message.data)));
}

function close() {
  if (stream) stream.close();
  stream = null;
}

function apply(values) {
  for (const element of document.querySelectorAll("[data-live]")) {
    const value = values[element.dataset.live];
    if (value === undefined) continue;
    if (element.textContent !== value) {
      element.textContent = value;
      // Restarts the animation; what changes all the time shows none.
      element.classList.remove("changed");
      void element.offsetWidth;
      element.classList.toggle("changed", !element.closest("footer"));
    }
    if (element.dataset.state !== undefined) element.dataset.state = value;
    if (element.dataset.hide !== undefined) element.hidden = value === element.dataset.hide;
  }
  if (version !== null && values.version !== version) refresh();
  version = values.version;
  document.dispatchEvent(new CustomEvent("evenkeel:live", { detail: values }));
}

// Somebody who works in a region is not disturbed: it is left as it is until the next change.
function isInUse(region) {
  return region.contains(document.activeElement) || region.querySelector("details[open]") !== null;
}

async function refresh() {
  const regions = [...document.querySelectorAll("[data-refresh]")].filter((region) => !isInUse(region));
  if (regions.length === 0 || loading) return;
  loading = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of regions) {
      const fresh = page.getElementById(region.id);
      if (fresh && !isInUse(region)) region.replaceWith(document.adoptNode(fresh));
    }
  } catch {
    // The stream says that the server is away.
  } finally {
    loading = false;
  }
}

button.hidden = false;
button.addEventListener("click", () => {
  paused = !paused;
  if (paused) {
    close();
    show("paused");
  } else {
    open();
  }
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    close();
    if (!paused) show("wait");
  } else {
    open();
  }
});
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", open);
open();
