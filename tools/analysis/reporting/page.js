'use strict';
const kind = document.getElementById('kind');
const label = document.getElementById('label');
const viewer = document.getElementById('viewer');
const cards = [...document.querySelectorAll('.gallery > li')];
let current = null;

const fits = (element) =>
  (!kind.value || element.dataset.kind === kind.value) &&
  (!label.value || element.dataset.label === label.value);
const boxesOf = (card) => {
  const boxes = [...card.querySelectorAll('rect')];
  const correct = (box) => Number(box.dataset.kind === 'correct');
  return boxes.sort((a, b) => correct(a) - correct(b));
};
const shown = () => cards.filter((card) => !card.hidden);

function filter() {
  const chosen = kind.value || label.value;
  for (const card of cards) {
    const boxes = boxesOf(card);
    const faults = boxes.filter((box) => box.dataset.kind !== 'correct');
    card.hidden = !faults.some(fits);
    for (const box of boxes) {
      box.classList.toggle('dim', Boolean(chosen) && !fits(box));
    }
  }
  const number = shown().length;
  document.getElementById('count').textContent =
    `${number} of ${cards.length} images shown`;
  document.getElementById('reset').disabled = !chosen;
}

function show(card) {
  current = card;
  document.getElementById('viewer-name').textContent = card.dataset.name;
  const picture = card.querySelector('.picture').cloneNode(true);
  document.getElementById('viewer-picture').replaceChildren(picture);
  const items = boxesOf(card).map((box) => {
    const item = document.createElement('li');
    const dot = document.createElement('span');
    item.className = box.dataset.kind;
    dot.className = 'dot';
    item.append(dot, `${box.dataset.kind}: ${box.textContent}`);
    return item;
  });
  document.getElementById('viewer-findings').replaceChildren(...items);
  if (!viewer.open) viewer.showModal();
}

function step(by) {
  const all = shown();
  const place = all.indexOf(current) + by;
  show(all[(place + all.length) % all.length]);
}

if (viewer) {
  kind.addEventListener('change', filter);
  label.addEventListener('change', filter);
  document.getElementById('reset').addEventListener('click', () => {
    kind.value = label.value = '';
    filter();
  });
  for (const card of cards) {
    card.querySelector('button').addEventListener('click', () => show(card));
  }
  document.getElementById('previous').addEventListener('click', () => step(-1));
  document.getElementById('next').addEventListener('click', () => step(1));
  viewer.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
  });
  viewer.addEventListener('close', () => current.querySelector('button').focus());
  filter();
}
