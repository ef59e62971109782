// What every page needs of a script: menus that close when one looks away, toasts that can be put away, forms sent once.
const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  event.target.closest("[data-dismiss]")?.closest(".toast")?.remove();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  }
});

document.addEventListener("focusin", (event) => {
  if (event.target.matches("[data-select]")) event.target.select();
});

// A form that is on its way is not sent twice; whoever comes back to it, or waited in vain, may send it again.
document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (form.ariaBusy) event.preventDefault();
  else setTimeout(() => event.defaultPrevented || form.method !== "post" || mark("true", form, submitter ?? form));
});

const mark = (busy, ...parts) => parts.forEach((part) => (part.ariaBusy = busy));
const release = () => mark(null, ...document.querySelectorAll("form[aria-busy], form [aria-busy]"));
addEventListener("pageshow", release);
document.addEventListener("submit", () => setTimeout(release, 10000));
