// How many records of a list are chosen, beside what can be done to them: a form with data-chosen.

for (const form of document.querySelectorAll("[data-chosen]")) {
  const count = form.querySelector("[data-chosen-count]");
  const show = () => {
    const chosen = form.querySelectorAll('input[name="id"]:checked').length;
    count.textContent = `${chosen} chosen`;
  };
  form.addEventListener("change", show);
  show();
}
