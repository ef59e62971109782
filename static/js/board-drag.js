// Dragging a card, by SortableJS: the browser's own drag for the mouse, a long press for the finger.
import { laneOf, lanes, mayMove, move, neighbour, say, setDragging } from "./board.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const MANY = 60; // cards: Sortable lays the list out anew for each one that it slides
const [EDGE, QUICK] = [40, 80]; // pixels that .lifted leaves for the shadow, milliseconds
let [home, grip, placed] = [null, { x: 0, y: 0 }, 0];

const options = {
  group: "deals",
  draggable: ".card",
  filter: (event, card, list) => card === list || !mayMove(card) || card.getAttribute("aria-busy") === "true",
  preventOnFilter: false,
  delay: 220, delayOnTouchOnly: true, touchStartThreshold: 5,
  emptyInsertThreshold: 24, scrollSensitivity: 48,
  forceFallback: matchMedia("(pointer: coarse)").matches, // a finger scrolls to other lanes at the edges only so
  fallbackOnBody: true, fallbackClass: "fallback", ghostClass: "ghost",
  setData: lift, onStart, onEnd,
  onMove: ({ to }) => aim(laneOf(to)),
  onChange: () => (placed = performance.now()),
};

function onStart({ item, from }) {
  home = { list: from, next: item.nextElementSibling };
  setDragging(true);
  document.body.classList.add("dragging");
  document.querySelector(".fallback")?.toggleAttribute("inert"); // a picture, no second card
  aim(laneOf(from));
  document.addEventListener("touchmove", pass);
}

function onEnd({ item, to, originalEvent: event }) {
  const spot = /dragend|cancel/.test(event?.type ?? "cancel") ? null : under(event);
  setDragging(false);
  document.body.classList.remove("dragging");
  document.removeEventListener("touchmove", pass);
  aim(null);
  const lane = laneAt(spot);
  if (!lane) return home.list.insertBefore(item, home.next), say("Move cancelled");
  // After each placement Sortable looks away for 30 ms: a quick hand leaves the card where it only passed.
  if (spot !== laneOf(to) || performance.now() - placed < QUICK) {
    const list = lane.querySelector(".cards");
    list.insertBefore(item, firstBelow(list, spot === lane ? point(event).clientY : -Infinity, item));
  }
  if (item.parentElement === home.list && item.nextElementSibling === home.next) return;
  const before = neighbour(item)?.dataset.dealId;
  const after = before ? undefined : neighbour(item, -1)?.dataset.dealId;
  move({ card: item, home, from: laneOf(home.list).dataset.stageId, to: lane.dataset.stageId, before, after });
}

const point = (event) => event.changedTouches?.[0] ?? event;

/** What lies under the pointer: a lane, on a phone also a stage in the strip, which stands for the top of its lane. */
function under(event) {
  const { clientX, clientY } = point(event);
  return document.elementFromPoint(clientX, clientY)?.closest(".lane, .strip a") ?? null;
}

const laneAt = (spot) => (spot?.hash ? document.querySelector(spot.hash) : spot);

/** A finger on its way. Sortable knows nothing of the strip. */
const pass = (event) => aim(under(event));

/** The card that a drop at height `y` goes above. Offsets, since boxes may still be sliding to their place. */
function firstBelow(list, y, item) {
  const start = list.getBoundingClientRect().top - list.scrollTop - list.offsetTop;
  const rows = [...list.querySelectorAll(".card")].filter((row) => row !== item);
  return rows.find((row) => start + row.offsetTop + row.offsetHeight / 2 > y) ?? list.querySelector(":scope > :not(.card)");
}

function aim(spot) {
  document.body.classList.toggle("over-strip", Boolean(spot?.hash));
  for (const tab of document.querySelectorAll(".strip a"))
    for (const mark of [tab, laneAt(tab)]) mark.classList.toggle("target", laneAt(tab) === laneAt(spot));
}

/** The picture that follows the mouse. */
function lift(transfer, card) {
  const lifted = Object.assign(document.createElement("div"), { className: "lifted" });
  const copy = Object.assign(card.cloneNode(true), { id: "", className: "card" });
  copy.style.inlineSize = `${card.offsetWidth}px`;
  lifted.append(copy), document.body.append(lifted);
  const box = card.getBoundingClientRect();
  transfer.setData("text/plain", card.querySelector(".t").textContent);
  transfer.setDragImage(lifted, grip.x - box.x + EDGE, grip.y - box.y + EDGE);
  setTimeout(() => lifted.remove());
}

document.addEventListener("pointerdown", ({ clientX, clientY }) => (grip = { x: clientX, y: clientY }), true);

function bind() {
  for (const list of document.querySelectorAll(".board .cards")) {
    const sortable = Sortable.get(list) ?? Sortable.create(list, options);
    sortable.options.animation = still.matches || list.children.length > MANY ? 0 : 150;
  }
}

bind();
document.addEventListener("htmx:after:swap", bind);
