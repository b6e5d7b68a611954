// The list of pictures: filtered, sorted, and drawn only where it is seen, so that thousands scroll smoothly. Names and paths are set
// as text, never as markup.
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
const list = byId('list'), images = data.images;
const cardHeight = 200, gap = 10, widest = 190;
let shown = images, columns = 1, active = 0;
const drawn = new Map();

const verdict = image => image.error ? 'failed' : image.verdict;
const isWrong = image => image.label !== undefined && !image.error && image.verdict === (image.label ? 'real' : 'fake');
const percent = score => (100 * score).toFixed(1) + ' %';

const orders = {
  input: () => 0,
  fake: (a, b) => (b.score ?? -1) - (a.score ?? -1),
  real: (a, b) => (a.score ?? 2) - (b.score ?? 2),
  doubt: (a, b) => Math.abs((a.score ?? 9) - data.threshold) - Math.abs((b.score ?? 9) - data.threshold),
  spread: (a, b) => ((b.high ?? 0) - (b.low ?? 0)) - ((a.high ?? 0) - (a.low ?? 0)),
  path: (a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0,
};
const filters = {
  all: () => true,
  real: image => verdict(image) === 'real',
  fake: image => verdict(image) === 'fake',
  unsure: image => verdict(image) === 'unsure',
  failed: image => verdict(image) === 'failed',
  wrong: isWrong,
};

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Red speaks for fake, blue for real; values are -127 … 127 of the strongest.
function heatCanvas(image) {
  const size = 96, canvas = element('canvas');
  const across = image.width >= image.height ? size : Math.max(1, Math.round(size * image.width / image.height));
  const down = image.height >= image.width ? size : Math.max(1, Math.round(size * image.height / image.width));
  canvas.width = across;
  canvas.height = down;
  const context = canvas.getContext('2d');
  context.fillStyle = 'rgba(20,20,20,.55)';
  context.fillRect(0, 0, across, down);
  for (const part of image.heat) {
    const values = Uint8Array.from(atob(part.values), c => c.charCodeAt(0));
    const tile = element('canvas');
    tile.width = part.columns;
    tile.height = part.rows;
    const pixels = new ImageData(part.columns, part.rows);
    values.forEach((byte, i) => {
      const value = byte > 127 ? byte - 256 : byte;
      pixels.data.set([value > 0 ? 255 : 64, value > 0 ? 59 : 156, value > 0 ? 48 : 255, 255 * Math.pow(Math.abs(value) / 127, .6)], 4 * i);
    });
    tile.getContext('2d').putImageData(pixels, 0, 0);
    context.drawImage(tile, part.x * across, part.y * down, part.width * across, part.height * down);
  }
  return canvas;
}

function picture(image) {
  const frame = element('div', 'picture');
  if (!image.thumbnail) return frame;
  const img = element('img');
  img.alt = '';
  img.src = 'data:image/webp;base64,' + image.thumbnail;
  frame.append(img);
  return frame;
}

// Made when it is first looked at.
function addHeat(frame, image) {
  const img = frame.querySelector('img');
  if (!img || !image.heat || frame.querySelector('canvas')) return;
  if (!img.complete) {
    img.addEventListener('load', () => addHeat(frame, image), {once: true});
    return;
  }
  const canvas = heatCanvas(image);
  canvas.style.width = img.clientWidth + 'px';
  canvas.style.height = img.clientHeight + 'px';
  frame.append(canvas);
}

function scoreBar(image) {
  const bar = element('div', 'bar'), mark = element('i');
  const low = image.low ?? 0, high = image.high ?? image.score;
  mark.style.left = 100 * low + '%';
  mark.style.width = 100 * (high - low) + '%';
  bar.append(mark);
  return bar;
}

function card(index) {
  const image = shown[index], made = element('div', 'card'), word = verdict(image);
  made.tabIndex = index === active ? 0 : -1;
  made.setAttribute('role', 'option');
  made.setAttribute('aria-setsize', shown.length);
  made.setAttribute('aria-posinset', index + 1);
  made.setAttribute('aria-label', image.path + ': ' + (image.error ?? word + ', ' + percent(image.score)));
  const frame = picture(image);
  const line = element('div', 'verdict');
  line.append(element('b', word, (isWrong(image) ? '✗ ' : '') + word), element('span', '', image.error ? '' : percent(image.score)));
  made.append(frame, line);
  if (image.error) {
    made.append(element('div', 'hint', image.error));
  } else {
    const bar = scoreBar(image);
    bar.style.color = 'var(--' + word + ')';
    if (image.reason) made.title = image.reason;
    made.append(bar);
  }
  const name = element('div', 'name', '\u200e' + image.path);
  name.title = image.path;
  made.append(name);
  made.addEventListener('pointerenter', () => addHeat(frame, image));
  made.addEventListener('focus', () => { active = index; addHeat(frame, image); });
  made.addEventListener('click', () => open(index));
  return made;
}

function layOut() {
  columns = Math.max(1, Math.floor((list.clientWidth + gap) / (widest + gap)));
  if (list.clientWidth < 420) columns = 2;
  list.style.height = Math.ceil(shown.length / columns) * (cardHeight + gap) + 'px';
  for (const made of drawn.values()) made.remove();
  drawn.clear();
  draw();
}

function draw() {
  const top = -list.getBoundingClientRect().top, rows = cardHeight + gap;
  const first = Math.max(0, Math.floor(top / rows) - 2) * columns;
  const end = Math.min(shown.length, (Math.ceil((top + innerHeight) / rows) + 2) * columns);
  for (const [index, made] of drawn) {
    if ((index < first || index >= end) && made !== document.activeElement) {
      made.remove();
      drawn.delete(index);
    }
  }
  const width = (list.clientWidth - gap * (columns - 1)) / columns;
  for (let index = first; index < end; ++index) {
    if (drawn.has(index)) continue;
    const made = card(index);
    made.style.width = width + 'px';
    made.style.height = cardHeight + 'px';
    made.style.left = (index % columns) * (width + gap) + 'px';
    made.style.top = Math.floor(index / columns) * rows + 'px';
    list.append(made);
    drawn.set(index, made);
  }
}

function refresh() {
  const text = byId('search').value.toLowerCase(), keep = filters[byId('filter').value];
  shown = images.filter(image => keep(image) && image.path.toLowerCase().includes(text));
  const order = orders[byId('sort').value];
  if (byId('sort').value !== 'input') shown = shown.slice().sort(order);
  active = 0;
  byId('count').textContent = shown.length + ' of ' + images.length;
  layOut();
}

function focusOn(index) {
  active = Math.max(0, Math.min(shown.length - 1, index));
  const rows = cardHeight + gap, top = Math.floor(active / columns) * rows + list.offsetTop;
  const head = document.querySelector('.tools').offsetHeight;
  if (top - head < scrollY) scrollTo(0, top - head);
  if (top + rows > scrollY + innerHeight) scrollTo(0, top + rows - innerHeight);
  draw();
  for (const [at, made] of drawn) made.tabIndex = at === active ? 0 : -1;
  drawn.get(active)?.focus({preventScroll: true});
}

function open(index) {
  const image = shown[index], dialog = byId('detail');
  dialog.replaceChildren();
  const frame = picture(image), facts = element('dl');
  const fact = (name, value) => facts.append(element('dt', '', name), element('dd', '', value));
  fact('file', image.path + (image.part ? ' (' + image.part + ')' : ''));
  if (image.error) {
    fact('failed', image.error);
  } else {
    fact('verdict', verdict(image) + (image.reason ? ': ' + image.reason : ''));
    if (image.windows) fact('windows', image.windows[0] + ', of which ' + image.windows[1] + ' are too flat to count');
    fact('score', percent(image.score) + (image.low !== undefined ? ' (' + percent(image.low) + ' to ' + percent(image.high) + ' as re-delivered)' : ''));
    fact('logit', image.logit.toFixed(3));
    (image.members ?? []).forEach((logit, i) => fact(data.members[i], 'logit ' + logit.toFixed(3) +
      (i === image.decided_by ? '; it decided, and the colours are what it saw' : '')));
    fact('size', image.width + ' × ' + image.height);
    for (const [name, value] of image.signs ?? []) fact(name, value);
    if (image.label !== undefined) fact('is', (image.label ? 'fake' : 'real') + (image.group ? ', ' + image.group : ''));
  }
  const close = element('button', '', 'Close');
  close.addEventListener('click', () => dialog.close());
  dialog.append(frame, facts, close);
  dialog.showModal();
  const img = frame.querySelector('img');
  if (img) addHeat(frame, image);
}

list.addEventListener('keydown', event => {
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[event.key];
  if (step) focusOn(active + step);
  else if (event.key === 'Home') focusOn(0);
  else if (event.key === 'End') focusOn(shown.length - 1);
  else if (event.key === 'Enter' || event.key === ' ') open(active);
  else return;
  event.preventDefault();
});
byId('detail').addEventListener('close', () => drawn.get(active)?.focus());
for (const id of ['filter', 'sort']) byId(id).addEventListener('change', refresh);
byId('search').addEventListener('input', refresh);
addEventListener('scroll', draw, {passive: true});
// A phone's browser resizes whenever its address bar comes and goes: only a new width moves the cards.
let laidOutWidth = list.clientWidth;
addEventListener('resize', () => {
  if (list.clientWidth === laidOutWidth) return draw();
  laidOutWidth = list.clientWidth;
  layOut();
});
refresh();
