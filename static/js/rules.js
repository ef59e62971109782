// The rules put in order by hand, and fields of the record put into the texts that a rule writes.
let next = null; // what lay below the rule in the hand
const animation = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150;
const edge = { forceFallback: matchMedia("(pointer: coarse)").matches, scrollSensitivity: 96 }; // the bars lie over the list's ends
const options = { ...edge, handle: ".grip", animation, ghostClass: "ghost", onStart: ({ item }) => (next = item.nextElementSibling), onEnd };

/** The answer draws the order as it is; without one the rule goes back to where it lay. */
async function onEnd({ item, from }) {
  const [home, below, form] = [next, item.nextElementSibling, item.querySelector(".shift")];
  if (below === home) return;
  item.ariaBusy = "true";
  await htmx.ajax("POST", form.action, { source: form, swap: "none", values: { above: below?.dataset.rule ?? "" } });
  if (!item.ariaBusy) return;
  from.insertBefore(item, home).ariaBusy = null, (document.getElementById("say").textContent = "Not moved. Try again.");
}

const bind = () => document.querySelectorAll("[data-order]").forEach((list) => Sortable.get(list) ?? Sortable.create(list, options));
bind();
document.addEventListener("htmx:after:swap", bind);

document.addEventListener("focusin", ({ target }) => (target.hadCursor = true)); // else one writes on at the end
document.addEventListener("change", ({ target: picker }) => {
  const text = document.getElementById(picker.dataset.into);
  if (!text) return;
  if (!text.hadCursor) text.selectionStart = text.value.length;
  const gap = /[\p{L}\d]$/u.test(text.value.slice(0, text.selectionStart)) ? " " : "";
  text.setRangeText(gap + picker.value, text.selectionStart, text.selectionEnd, "end");
  picker.value = "";
  text.focus();
  text.dispatchEvent(new Event("input", { bubbles: true }));
}, true);
