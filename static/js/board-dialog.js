// The page's one dialog: the move form behind a card's link, and what a stage asks back. Both work on a page of their own, too;
// here they are sent like a drop.
import { cardOf, move, say } from "./board.js";

const dialog = document.getElementById("move-dialog");
const question = () => dialog.querySelector("[data-ask]");

document.addEventListener("click", async (event) => {
  const link = event.target.closest(".card .mv, #panel [data-move]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.closest("[aria-busy=true]")) return;
  await htmx.ajax("GET", link.href, { source: dialog, target: dialog, swap: "innerHTML" });
  if (!dialog.firstElementChild) return say("The form did not arrive. Try again.");
  name();
  dialog.showModal();
});

// A question comes with the answer to a move.
document.addEventListener("htmx:after:swap", () => question() && !dialog.open && dialog.showModal());
dialog.addEventListener("change", name);

/** The button names the act. */
function name() {
  const button = dialog.querySelector("[data-move-words]");
  const chosen = dialog.querySelector("[name=stage_id]:checked");
  if (chosen) button.textContent = `${button.dataset.moveWords} ${chosen.dataset.name}`;
}

dialog.addEventListener("click", (event) => {
  // Older browsers do not know `closedby`: a click beside the box has the dialog itself as target.
  if (event.target !== dialog && !event.target.closest("[data-close]")) return;
  event.preventDefault();
  dialog.close();
});

dialog.addEventListener("close", () => {
  cardOf(question()?.dataset.moveOf)?.querySelector(".t").focus();
  dialog.replaceChildren();
});

document.addEventListener("submit", (event) => {
  const deal = event.target.dataset.moveOf;
  if (!deal) return;
  event.preventDefault();
  const given = [...new FormData(event.target, event.submitter)];
  const { stage_id: to, from_stage_id: from, seen_version: version, before_id: before, after_id: after, position } = Object.fromEntries(given);
  event.target.closest(".toast")?.remove();
  dialog.close();
  move({ card: cardOf(deal), deal, from, version, to, before, after, position, given });
});
