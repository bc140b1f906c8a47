// New events are announced above the list, which stays where it is until its reader asks for them.

const list = document.getElementById("events");
let asking = false;
let stale = false;

async function look() {
  // What comes while it is looked may be the last for long: it is looked once more then.
  stale = asking;
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const known = new Set([...list.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id));
    const rows = [...page.querySelectorAll("#events tr[data-id]")];
    const fresh = rows.filter((row) => !known.has(row.dataset.id)).length;
    const isWhole = fresh < rows.length || !page.querySelector('.paging [rel="next"]');
    if (fresh > 0) announce(isWhole ? `${fresh} new` : `${fresh} or more new`);
  } catch {
    // The stream says that the server is away.
  } finally {
    asking = false;
    if (stale) look();
  }
}

function announce(text) {
  let link = document.getElementById("news");
  if (!link) {
    link = document.createElement("a");
    link.id = "news";
    link.className = "button";
    link.href = location.href;
    link.setAttribute("role", "status");
    list.before(link);
  }
  link.textContent = text;
}

// Older pages do not change at their head.
if (list && !new URLSearchParams(location.search).has("cursor")) document.addEventListener("evenkeel:news", look);
