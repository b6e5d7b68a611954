// Sends dropped, pasted and chosen pictures to the server one by one, a few at a time, and shows what it says of each.
"use strict";

const atOnce = 3;
const find = (id) => document.getElementById(id);
const queue = [];
let running = 0;
let threshold = 0.5;
let token = "";

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

async function loadModel() {
  const answer = await fetch("/v1/models", { headers: headers() });
  find("token-form").hidden = answer.status !== 401;
  if (!answer.ok) return;
  const about = await answer.json();
  const model = about.models[0];
  threshold = model.threshold;
  find("model").textContent = `Pictures are scored on this machine, and kept nowhere. Model ${model.name}, ${about.device}.`;
  find("meaning").textContent = model.meaning ? `${model.meaning}.` : "";
}

const verdicts = {
  real: "No sign of a generator",
  fake: "Looks generated",
  unsure: "Can't tell",
};
const reasons = {
  "no-texture": "It is too flat or smooth: neighbouring pixels hardly differ, so there is nothing to tell by.",
  flips: "A slightly changed copy of it gets the other verdict.",
  close: "Its score is close to the threshold.",
};

/// How far a score is from the threshold, in words.
function confidence(record) {
  if (record.label === "unsure") return reasons[record.reason] ?? "";
  const odds = (p) => Math.log(Math.max(p, 1e-6) / Math.max(1 - p, 1e-6));
  const distance = Math.abs(odds(record.score) - odds(threshold));
  const how = distance > 3 ? "Clearly" : distance > 1 ? "Rather clearly" : "Only just";
  return `${how} ${record.label === "fake" ? "above" : "below"} the threshold: score ${record.score.toFixed(3)}, threshold ${threshold.toFixed(3)}.`;
}

function addCard(file) {
  const card = find("card").content.firstElementChild.cloneNode(true);
  const image = card.querySelector("img");
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  card.querySelector(".file").textContent = file.name;
  card.querySelector(".verdict").textContent = "Scoring…";
  card.classList.add("busy");
  card.querySelector(".heat").hidden = true;
  card.querySelector(".more").hidden = true;
  const remove = () => {
    URL.revokeObjectURL(image.src);
    card.remove();
  };
  card.querySelector(".close").addEventListener("click", remove);
  card.addEventListener("keydown", (event) => {
    if (event.key === "Delete") remove();
  });
  card.querySelector(".heat input").addEventListener("change", (event) => {
    card.querySelector("canvas").hidden = !event.target.checked;
  });
  find("results").prepend(card);
  return card;
}

/// The windows of the member that decided; of a single network all.
function decidingWindows(record) {
  return (record.explanation ?? []).filter((w) => w.member === record.decided_by);
}

/// Red pulls towards fake, blue towards real; strength by the largest contribution of the picture.
function drawHeat(card, record) {
  const image = card.querySelector("img");
  const canvas = card.querySelector("canvas");
  const windows = decidingWindows(record);
  if (!windows.length || !image.naturalWidth) return;
  if (image.naturalWidth !== record.width || image.naturalHeight !== record.height) return;  // the browser shows another picture of the file
  canvas.width = record.width;
  canvas.height = record.height;
  const scale = image.clientWidth / record.width;
  canvas.style.width = `${record.width * scale}px`;
  canvas.style.height = `${record.height * scale}px`;
  const strongest = Math.max(1e-9, ...windows.map((w) => Math.max(...w.contributions.map(Math.abs))));
  const context = canvas.getContext("2d");
  for (const w of windows) {
    const cell = [w.width / w.columns, w.height / w.rows];
    for (let i = 0; i < w.contributions.length; ++i) {
      const share = w.contributions[i] / strongest;
      if (Math.abs(share) < 0.05) continue;
      context.fillStyle = `rgba(${share > 0 ? "226,60,20" : "30,110,226"},${Math.min(1, Math.abs(share))})`;
      context.fillRect(w.x + (i % w.columns) * cell[0], w.y + Math.floor(i / w.columns) * cell[1], cell[0], cell[1]);
    }
  }
  card.querySelector(".heat").hidden = false;
}

function addDetail(list, name, text) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  term.textContent = name;
  detail.textContent = text;
  list.append(term, detail);
}

function showDetails(card, record) {
  const list = card.querySelector("dl");
  addDetail(list, "score", record.score.toFixed(4));
  addDetail(list, "logit", record.logit.toFixed(3));
  addDetail(list, "size", `${record.width} × ${record.height}`);
  addDetail(list, "windows", `${record.windows}${record.empty_windows ? `, ${record.empty_windows} of them flat` : ""}`);
  for (const [name, score] of Object.entries(record.deliveries ?? {})) {
    addDetail(list, name, score === null ? "too small" : score.toFixed(4));
  }
  (record.members ?? []).forEach((member, i) => {
    addDetail(list, member.name, `logit ${member.logit.toFixed(3)}${i + 1 === record.decided_by ? "; it decided, and the colours are what it saw" : ""}`);
  });
  decidingWindows(record).forEach((w, i) => {
    const pull = w.contributions.reduce((sum, value) => sum + value, 0);
    addDetail(list, `window ${i + 1}`, `at ${w.x}, ${w.y}: ${pull >= 0 ? "+" : ""}${pull.toFixed(3)}`);
  });
  for (const sign of record.signs ?? []) addDetail(list, `${sign.source}: ${sign.name}`, sign.value);
  card.querySelector(".more").hidden = false;
}

function showRecord(card, record) {
  card.classList.remove("busy");
  if (record.error) return showFailure(card, record.error);
  card.classList.add(record.label);
  card.querySelector(".verdict").textContent = verdicts[record.label];
  card.querySelector(".words").textContent = confidence(record);
  const bar = card.querySelector(".bar");
  bar.setAttribute("aria-label", `score ${record.score.toFixed(3)} of 1, threshold ${threshold.toFixed(3)}`);
  bar.querySelector(".fill").style.width = `${100 * record.score}%`;
  bar.querySelector(".mark").style.left = `${100 * threshold}%`;
  showDetails(card, record);
  const image = card.querySelector("img");
  image.complete ? drawHeat(card, record) : image.addEventListener("load", () => drawHeat(card, record));
}

function showFailure(card, message) {
  card.classList.remove("busy");
  card.classList.add("failed");
  card.querySelector(".verdict").textContent = "Not scored";
  card.querySelector(".words").textContent = message;
  card.querySelector(".bar").hidden = true;
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function send(file, card) {
  const stable = find("stable").checked ? "&stable=1" : "";
  for (let tries = 0; tries < 20; ++tries) {
    const answer = await fetch(`/v1/detect?explain=1${stable}&name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { ...headers(), "Content-Type": "application/octet-stream" },
      body: file,
    });
    if (answer.status === 503) {  // busy: others are being served
      await pause(1000);
      continue;
    }
    const said = await answer.json();
    if (answer.status === 401) find("token-form").hidden = false;
    return Array.isArray(said) ? showRecord(card, said[0]) : showFailure(card, said.error);
  }
  showFailure(card, "The server is busy; try again later.");
}

async function work() {
  if (running >= atOnce || queue.length === 0) return;
  const { file, card } = queue.shift();
  ++running;
  try {
    await send(file, card);
  } catch {
    showFailure(card, "The server does not answer; is it still running?");
  }
  --running;
  tellProgress();
  work();
}

function tellProgress() {
  const left = queue.length + running;
  find("status").textContent = left === 0 ? "" : `${left} ${left === 1 ? "picture" : "pictures"} to go`;
}

function take(files) {
  for (const file of files) queue.push({ file, card: addCard(file) });
  tellProgress();
  for (let i = 0; i < atOnce; ++i) work();
}

find("choose").addEventListener("click", () => find("files").click());
find("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("over");
});
document.addEventListener("dragleave", () => find("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  loadModel();
});
loadModel();
