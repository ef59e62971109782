// Dragging a card: at once with the mouse, after a short rest with a finger. The card itself stays where it is, out of sight;
// a copy follows the pointer and a hatched place shows where it would go. Pointer events alone, so that every browser,
// hand and way to let go is the same few lines.
import { board, cardOf, laneOf, lanes, mayMove, move, neighbour, say, setDragging } from "./board.js";

const REST = 220; // milliseconds until a finger has a card; a finger that moves sooner scrolls
const SLIP = 6; // pixels that a hand may shake
const EDGE = 48; // pixels from an edge where a list or the board scrolls by itself
const still = matchMedia("(prefers-reduced-motion: reduce)");

let press = null; // a button or finger is down on a card
let drag = null; // the card is lifted
let swallow = false; // the click that follows a drop is not meant for the link

document.addEventListener("pointerdown", (event) => {
  const card = event.target.closest(".board .card");
  if (!card || press || event.button || !event.isPrimary || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!mayMove(card) || card.getAttribute("aria-busy") === "true") return;
  const { pointerId, pointerType, clientX: x, clientY: y } = event;
  press = { card, pointerId, x, y, touch: pointerType !== "mouse" };
  if (press.touch) press.rest = setTimeout(lift, REST);
});

document.addEventListener("pointermove", ({ pointerId, clientX: x, clientY: y }) => {
  if (pointerId !== press?.pointerId) return;
  if (!drag && Math.hypot(x - press.x, y - press.y) > SLIP) {
    if (press.touch) release();
    else lift();
  }
  if (drag) follow(x, y);
});

document.addEventListener("pointerup", ({ pointerId, clientX, clientY }) => {
  setTimeout(() => (swallow = false)); // after the click that may follow
  if (pointerId !== press?.pointerId) return;
  if (drag) drop(clientX, clientY);
  release();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !drag) return;
  event.preventDefault();
  event.stopPropagation();
  cancel();
}, true);

for (const end of ["pointercancel", "blur"]) addEventListener(end, () => (drag ? cancel() : release()));
board().addEventListener("touchmove", (event) => drag && event.preventDefault(), { passive: false });
for (const own of ["dragstart", "contextmenu"]) board().addEventListener(own, (event) => press && event.preventDefault());
addEventListener("click", (event) => swallow && event.preventDefault(), true);

// The answer to an earlier move drew the lists anew.
document.addEventListener("htmx:after:swap", () => {
  if (!drag) return;
  const card = cardOf(drag.card.dataset.dealId);
  if (!card) return cancel();
  drag.card = card;
  card.hidden = true;
  card.before(drag.place);
  follow(drag.x, drag.y);
});

function lift() {
  const { card, x, y } = press;
  const box = card.getBoundingClientRect();
  const copy = card.cloneNode(true);
  const place = document.createElement("li");
  copy.removeAttribute("id");
  copy.removeAttribute("data-deal-id");
  copy.classList.add("lifted");
  for (const drawn of [copy, place]) drawn.setAttribute("aria-hidden", "true");
  Object.assign(copy.style, { inlineSize: `${box.width}px`, left: `${box.left - x}px`, top: `${box.top - y}px` });
  place.className = "ghost";
  place.style.blockSize = `${box.height}px`;
  drag = { card, copy, place, x, y };
  card.before(place);
  card.hidden = true;
  document.body.append(copy);
  document.body.classList.add("dragging");
  setDragging(true);
  follow(x, y);
  scroll();
}

/** The copy goes with the pointer, the place goes where it would land. */
function follow(x, y) {
  Object.assign(drag, { x, y });
  drag.copy.style.translate = `${x}px ${y}px`;
  const lane = laneAt(x, y);
  for (const other of lanes()) other.classList.toggle("target", other === lane);
  if (!lane) return put(drag.card.parentElement, drag.card);
  const list = lane.querySelector(".cards");
  // Offsets, since rows may still be sliding to where they belong.
  const start = list.getBoundingClientRect().top - list.scrollTop - list.offsetTop;
  const below = rows(list).find((row) => start + row.offsetTop + row.offsetHeight / 2 > y);
  put(list, below ?? list.querySelector(":scope > :not(.card, .ghost)"));
}

const laneAt = (x, y) => document.elementFromPoint(x, y)?.closest(".lane") ?? null;
const rows = (list) => [...list.querySelectorAll(".card:not([hidden])")];

function put(list, next) {
  const { place, card } = drag;
  const after = place.nextElementSibling === card ? card.nextElementSibling : place.nextElementSibling;
  if (place.parentElement === list && (after === next || place.nextElementSibling === next)) return;
  const moving = still.matches ? [] : [...rows(list), ...rows(place.parentElement)];
  const before = moving.map((row) => row.getBoundingClientRect().top);
  list.insertBefore(place, next);
  moving.forEach((row, at) => {
    const way = before[at] - row.getBoundingClientRect().top;
    if (way) row.animate({ translate: [`0 ${way}px`, "0 0"] }, { duration: 150, easing: "cubic-bezier(.2, .7, .2, 1)" });
  });
}

/** Near an edge the list under the pointer and the board scroll along. */
function scroll() {
  if (!drag) return;
  const { x, y } = drag;
  const list = laneAt(x, y)?.querySelector(".cards");
  const pull = (at, from, to) => (at < from + EDGE ? -1 : at > to - EDGE ? 1 : 0) * 10;
  const wide = board().getBoundingClientRect();
  const before = [board().scrollLeft, list?.scrollTop];
  board().scrollLeft += pull(x, wide.left, wide.right);
  if (list) {
    const tall = list.getBoundingClientRect();
    if (y > tall.top - EDGE) list.scrollTop += pull(y, tall.top, tall.bottom);
  }
  if (board().scrollLeft !== before[0] || list?.scrollTop !== before[1]) follow(x, y);
  requestAnimationFrame(scroll);
}

function drop(x, y) {
  follow(x, y);
  const { card, place } = drag;
  const lane = laneAt(x, y);
  if (!lane) return cancel();
  const before = neighbour(place);
  const after = neighbour(place, -1);
  finish();
  if (laneOf(card) === lane && before === neighbour(card)) return;
  move({ card, to: lane.dataset.stageId, before: before?.dataset.dealId, after: before ? undefined : after?.dataset.dealId });
}

function cancel() {
  finish();
  release();
  say("Move cancelled");
}

function finish() {
  const { card, copy, place } = drag;
  copy.remove();
  place.remove();
  card.hidden = false;
  document.body.classList.remove("dragging");
  for (const lane of lanes()) lane.classList.remove("target");
  drag = null;
  swallow = true;
  setDragging(false);
}

function release() {
  clearTimeout(press?.rest);
  press = null;
}
