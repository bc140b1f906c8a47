// Keys: `?` shows them, `/` goes to the search, `g` and a letter to a page.

const links = [...document.querySelectorAll("nav a[data-key]")];
let going = false;

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function line(keys, meaning) {
  const row = document.createElement("tr");
  const left = row.insertCell();
  for (const key of keys) {
    const shown = document.createElement("kbd");
    shown.textContent = key;
    left.append(shown, " ");
  }
  row.insertCell().textContent = meaning;
  return row;
}

function help() {
  let dialog = document.getElementById("keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "keys";
    const headline = document.createElement("h2");
    headline.textContent = "Keys";
    const table = document.createElement("table");
    table.append(line(["/"], "Search"), line(["?"], "These keys"));
    for (const link of links) table.append(line(["g", link.dataset.key], link.firstChild.textContent.trim()));
    const form = document.createElement("form");
    form.method = "dialog";
    const close = document.createElement("button");
    close.textContent = "Close";
    form.append(close);
    dialog.append(headline, table, form);
    dialog.setAttribute("aria-label", "Keys");
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (going) {
    going = false;
    const link = links.find((link) => link.dataset.key === event.key);
    if (link) {
      event.preventDefault();
      link.click();
      return;
    }
  }
  if (event.key === "g") {
    going = true;
    setTimeout(() => (going = false), 1500);
  } else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search").focus();
  } else if (event.key === "?") {
    event.preventDefault();
    help();
  }
});
