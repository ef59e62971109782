// The page's one dialog: what stands on the page behind a link, or what a stage asks back; a move form in it is sent like a drop.
import { cardOf, describe, dialog, move, say } from "./board.js";

document.addEventListener("click", async (event) => {
  const link = event.target.closest(".card :is(.mv, .step, .quiet, .asleep), .lane h2 a, [data-ask]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.closest("[aria-busy=true]")) return;
  describe(); // what is answered over the board tells what the board shows
  const menu = link.closest(".menu[open]")?.firstElementChild;
  menu?.focus(), menu?.click();
  await htmx.ajax("GET", link.href, { source: dialog, target: dialog, swap: "innerHTML" });
  if (!dialog.open) say("Nothing arrived. Try again.");
});

// What arrives, behind a link or with the answer to a move, opens it; an answer that leaves nothing in it closes it.
document.addEventListener("htmx:after:swap", () => {
  if (!dialog.firstElementChild) return dialog.close();
  name();
  dialog.setAttribute("aria-labelledby", dialog.querySelector("h2").id);
  if (!dialog.open) dialog.showModal();
  else if (!dialog.contains(document.activeElement)) dialog.querySelector("[autofocus]")?.focus();
});

dialog.addEventListener("change", name);
/** The button names the act. */
function name() {
  const [button, chosen] = ["[data-move-words]", "[name=stage_id]:checked"].map((part) => dialog.querySelector(part));
  if (button && chosen) button.textContent = `${button.dataset.moveWords} ${chosen.dataset.name}`;
}

dialog.addEventListener("click", (event) => {
  // Older browsers do not know `closedby`: a click beside the box has the dialog itself as target.
  if (event.target !== dialog && !event.target.closest("[data-close]")) return;
  event.preventDefault(), dialog.close();
});

dialog.addEventListener("close", () => {
  cardOf(dialog.querySelector("[data-question]")?.dataset.moveOf)?.querySelector(".t").focus();
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
  move({ card: cardOf(deal), url: event.target.action, deal, from, version, to, before, after, position, given });
});
