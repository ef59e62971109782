// What every page needs of a script: menus that close when one looks away, toasts that can be put away, forms sent once.
let before = null; // what had the focus before a toast, to have it again when the toast is put away
const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  if (!event.target.closest("[data-dismiss]")) return;
  event.target.closest(".toast").remove();
  (before?.isConnected ? before : document.getElementById("main")).focus({ preventScroll: true });
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of openMenus()) menu.open = false, menu.querySelector("summary").focus(), event.stopPropagation();
});

document.addEventListener("focusin", ({ target }) => {
  if (target.matches("[data-select]")) target.select();
  if (!target.closest(".toast-place")) before = target;
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
