// One stream of the server feeds the page.
//
//   data-live="name"      the text of this element is the value of that name; one with data-state gets it as well
//   data-hide="value"     hidden while the text is this value
//   data-refresh          this region is loaded again when something has changed; it needs an id
//
// The stream is closed while the tab is hidden, and while the reader has paused it. Other modules hear by the event
// `evenkeel:news` of the document that something has changed since the page was made.

const button = document.getElementById("live");
const WORDS = { on: "Live", wait: "Connecting", lost: "No connection", paused: "Paused" };
let stream = null;
let paused = false;
let version = null;
let loading = false;
let stale = false;

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
    show("lost");
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
  // A version is the moment of a change: the first may be older than the page, or have come after it was made.
  const made = Number(document.documentElement.dataset.now);
  const isNews = version === null ? Number(values.version) > made : values.version !== version;
  version = values.version;
  if (isNews) {
    refresh();
    document.dispatchEvent(new Event("evenkeel:news"));
  }
}

// Somebody who works in a region is not disturbed: it is left as it is until it has been left and something changes.
function isInUse(region) {
  return region.contains(document.activeElement) || region.querySelector("details[open], :active") !== null;
}

async function refresh() {
  // What changes while the page is loaded again may be the last change for long: it is loaded once more then.
  stale = loading;
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
    if (stale) refresh();
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
