// New events are announced above the list, which stays where it is until its reader asks for them.

const list = document.getElementById("events");
let asking = false;
let version = null;

async function look() {
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const known = new Set([...list.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id));
    const rows = [...page.querySelectorAll("#events tr[data-id]")];
    const fresh = rows.filter((row) => !known.has(row.dataset.id)).length;
    if (fresh > 0) announce(fresh === rows.length ? `${fresh} or more new` : `${fresh} new`);
  } catch {
    // The stream says that the server is away.
  } finally {
    asking = false;
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
if (list && !new URLSearchParams(location.search).has("cursor")) {
  document.addEventListener("evenkeel:live", ({ detail }) => {
    if (version !== null && detail.version !== version && !asking) look();
    version = detail.version;
  });
}
