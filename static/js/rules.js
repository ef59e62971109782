// The rules put in order by hand, and fields of the record put into the texts that a rule writes.
let [next, placed] = [null, 0]; // what lay below the rule in the hand, and when it last came to another place
const options = {
  handle: ".grip", ghostClass: "ghost", animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
  forceFallback: matchMedia("(pointer: coarse)").matches, scrollSensitivity: 96, // the bars lie over the list's ends
  onStart: ({ item }) => (next = item.nextElementSibling), onChange: () => (placed = performance.now()), onEnd,
};
const say = (words) => (document.getElementById("say").textContent = words);
document.addEventListener("dragover", (event) => Sortable.dragged && event.preventDefault()); // let go beside the list it counts too

/** The answer draws the order as it is; without one the rule goes back to where it lay. */
async function onEnd({ item, from, originalEvent: event }) {
  const [home, form] = [next, item.querySelector(".shift")];
  if (/dragend|cancel/.test(event?.type ?? "cancel")) return from.insertBefore(item, home), say("Move cancelled");
  // After each placement Sortable looks away for 30 ms: a quick hand leaves the rule where it only passed.
  if (performance.now() - placed < 80) from.insertBefore(item, firstBelow(from, item, (event.changedTouches?.[0] ?? event).clientY));
  const below = item.nextElementSibling;
  if (below === home) return;
  item.ariaBusy = "true";
  await htmx.ajax("POST", form.action, { source: form, swap: "none", values: { above: below?.dataset.rule ?? "" } });
  if (item.ariaBusy) from.insertBefore(item, home).ariaBusy = null, say("Not moved. Try again.");
}

/** The rule that a drop at height `y` goes above. Offsets, since rows may still be sliding to their place. */
const firstBelow = (list, item, y) => [...list.children].find((row) =>
  row !== item && list.getBoundingClientRect().top - list.offsetTop + row.offsetTop + row.offsetHeight / 2 > y) ?? null;

const bind = () => document.querySelectorAll("[data-order]").forEach((list) => Sortable.get(list) ?? Sortable.create(list, options));
bind();
document.addEventListener("htmx:after:swap", bind);

document.addEventListener("focusin", ({ target }) => (target.hadCursor = true)); // else one writes on at the end
document.addEventListener("change", ({ target: picker }) => {
  const text = document.getElementById(picker.dataset.into);
  if (!text) return;
  if (!text.hadCursor) text.selectionStart = text.value.length;
  const gap = /[\p{L}\d}]$/u.test(text.value.slice(0, text.selectionStart)) ? " " : "";
  text.setRangeText(gap + picker.value, text.selectionStart, text.selectionEnd, "end");
  picker.value = "", text.focus();
  text.dispatchEvent(new Event("input", { bubbles: true }));
}, true);

// The browser's Back brings the form as it was opened: it goes on as it was left. Signing out clears what is kept of it.
const [form, here] = [() => document.getElementById("rule-form"), location.pathname + location.search];
const left = performance.getEntriesByType("navigation")[0].type === "back_forward" && sessionStorage.getItem(here);
document.addEventListener("click", () => form() && sessionStorage.setItem(here, new URLSearchParams(new FormData(form()))), true);
if (left && form()) {
  form().addEventListener("htmx:config:request", ({ detail: { ctx } }) => (ctx.request.body = new URLSearchParams(left)), { once: true });
  htmx.ajax("POST", form().dataset.draft, { source: form(), target: form(), swap: "outerMorph" });
}
