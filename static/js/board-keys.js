// The board by keyboard. While a card has focus: arrows walk, Shift and an arrow moves the card, m asks where to.
import { board, laneOf, lanes, mayMove, move, neighbour, say } from "./board.js";

const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const ANYWHERE = { "/": "#filters [type=search]", n: "#tools > .btn", z: "#toasts .undo", "?": ".menu [href$='/keyboard']" };

board().addEventListener("keydown", (event) => {
  const card = event.target.closest(".card");
  if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
  if (STEPS[event.key]) {
    event.preventDefault();
    const [across, down] = STEPS[event.key];
    const ahead = getComputedStyle(board()).direction === "rtl" ? -across : across;
    (event.shiftKey ? shift : walk)(card, ahead, down);
  } else if (event.key === "m" && !event.shiftKey) {
    event.preventDefault();
    if (may(card)) card.querySelector(".mv").click();
  }
});

// A slip of the hand, or of a voice, presses single keys too: whoever wants none switches them off.
document.addEventListener("keydown", (event) => {
  const found = ANYWHERE[event.key] && document.querySelector(ANYWHERE[event.key]);
  const isTyping = event.target.matches("input, textarea, select") || document.querySelector("dialog[open], :popover-open");
  if (!found || isTyping || event.ctrlKey || event.metaKey || event.altKey || document.cookie.includes("keys=off")) return;
  event.preventDefault();
  if (!found.checkVisibility()) document.querySelector("[popovertarget=tools]").click();
  found.matches("input") ? found.focus() : found.click();
});

const keep = (on) => (document.cookie = `keys=${on ? "on" : "off"};path=/;max-age=31536000;samesite=lax`);
document.addEventListener("change", ({ target }) => target.matches("[data-keys]") && keep(target.checked));

function walk(card, across, down) {
  const next = down ? neighbour(card, down) : besides(card, across);
  next?.querySelector(".t").focus();
  next?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** The card beside this one, in the next lane that has any. */
function besides(card, across) {
  const all = lanes();
  const distance = (other) => Math.abs(other.getBoundingClientRect().top - card.getBoundingClientRect().top);
  for (let at = all.indexOf(laneOf(card)) + across; at >= 0 && at < all.length; at += across) {
    const rows = [...all[at].querySelectorAll(".card")];
    if (rows.length) return rows.reduce((best, row) => (distance(row) < distance(best) ? row : best));
  }
  return null;
}

function shift(card, across, down) {
  if (!may(card)) return;
  if (across) {
    const lane = lanes()[lanes().indexOf(laneOf(card)) + across];
    return lane ? move({ card, to: lane.dataset.stageId }) : say(`Already in the ${across > 0 ? "last" : "first"} stage`);
  }
  const other = neighbour(card, down);
  if (!other) return say(down > 0 ? "Already at the bottom" : "Already on top");
  const before = down > 0 ? neighbour(other) : other;
  move({ card, to: laneOf(card).dataset.stageId, before: before?.dataset.dealId, after: before ? undefined : other.dataset.dealId });
}

function may(card) {
  const waits = card.getAttribute("aria-busy") === "true";
  if (waits || !mayMove(card)) say(waits ? "Still saving the last move" : "Only the owner or a manager can move this deal.");
  return !waits && mayMove(card);
}
