// The page's one dialog: what stands on the page behind a link; a move form in it is sent like a drop.
import { cardOf, move, say } from "./board.js";

const dialog = document.getElementById("move-dialog");

document.addEventListener("click", async (event) => {
  const link = event.target.closest(".card .mv, .lane h2 a, [data-ask]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.closest("[aria-busy=true]")) return;
  const menu = link.closest(".menu[open]")?.firstElementChild;
  menu?.focus();
  menu?.click();
  dialog.replaceChildren();
  await htmx.ajax("GET", link.href, { source: dialog, target: dialog, swap: "innerHTML" });
  if (!dialog.firstElementChild) return say("Nothing arrived. Try again.");
  name();
  dialog.setAttribute("aria-labelledby", dialog.querySelector("h2").id);
  dialog.showModal();
  dialog.querySelector("[type=radio]:checked")?.focus();
});

dialog.addEventListener("change", name);

/** The button names the act. */
function name() {
  const button = dialog.querySelector("[data-move-words]");
  const chosen = dialog.querySelector("[name=stage_id]:checked");
  if (button && chosen) button.textContent = `${button.dataset.moveWords} ${chosen.dataset.name}`;
}

dialog.addEventListener("click", (event) => {
  // Older browsers do not know `closedby`: a click beside the box has the dialog itself as target.
  if (event.target !== dialog && !event.target.closest("[data-close]")) return;
  event.preventDefault();
  dialog.close();
});

dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const values = Object.fromEntries(new FormData(form));
  dialog.close();
  move({
    card: cardOf(form.dataset.moveOf),
    deal: form.dataset.moveOf,
    from: values.from_stage_id,
    version: values.seen_version,
    to: values.stage_id,
    position: values.position,
    note: values.note,
    lostReason: values.lost_reason,
  });
});
