// The page: takes a picture, shows what the network says of it, and hands that out as files.

import {indexPng, rgbPng} from "./png.js";
import {read} from "./picture.js";

const LEAST_PIXELS = 2 ** 10; // with fewer, the picture is not what takes the memory
const OF_MEMORY = /memory|alloc|abort|unreachable|overflow|out of bounds|invalid array length/i;
const part = (id) => document.getElementById(id);

/** The network's thread; one at a time is asked. */
class Network {
  constructor() {
    this.start();
  }

  start() {
    // begun from a blob, a worker obeys this page's Content-Security-Policy; begun from a file, its server's alone
    const program = `import ${JSON.stringify(new URL("./network.js", import.meta.url).href)};`;
    const address = URL.createObjectURL(new Blob([program], {type: "text/javascript"}));
    this.worker = new Worker(address, {type: "module"});
    this.ready = this.answer();
  }

  /** The same network in a new thread: the memory of one that failed is lost. */
  restart() {
    this.worker.terminate();
    this.start();
    return this.ready;
  }

  async classify({pixels, width, height}) {
    await this.ready;
    const answer = this.answer();
    this.worker.postMessage({pixels, width, height});
    return answer;
  }

  answer() {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({data}) => (data.failed === undefined ? resolve(data) : reject(new Error(data.failed)));
      this.worker.onerror = (event) => reject(new Error(event.message || "its program could not be loaded"));
    });
  }
}

const [settings, {name, class_names: names, colors}] = await Promise.all(["settings.json", "classes.json"].map(json));
const network = new Network();
let busy = false, waiting, shown, most = settings.max_pixels;

document.title = part("classes").closest("header").querySelector("h1").textContent = `Segmentation: ${name}`;
part("classes").textContent = `${names.length} classes: ${names.join(", ")}`;
part("runtime").textContent = `${settings.runtime}, © Microsoft Corporation, MIT license.`;

part("file").addEventListener("change", chosen);
part("capture").addEventListener("change", chosen);
part("camera").addEventListener("click", openCamera);
part("take").addEventListener("click", take);
part("cancel").addEventListener("click", () => part("finder").close());
part("finder").addEventListener("close", closeCamera);
part("opacity").addEventListener("input", showOpacity);
part("save_index").addEventListener("click", () => save("index", indexPng(...shown.map, colors)));
part("save_overlay").addEventListener("click", () => save("overlay", rgbPng(...laidOver(shown, opacity()))));

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragging", kind === "dragover");
    const [file] = kind === "drop" ? event.dataTransfer.files : [];
    if (file) see(file, file.name);
  });
}

try {
  await network.ready;
  for (const id of ["file", "camera"]) part(id).disabled = false;
  say("Ready.");
} catch (error) {
  fail(`The network cannot be loaded: ${error.message}`);
}

async function json(address) {
  const response = await fetch(address);
  if (!response.ok) fail(`${address} cannot be read: ${response.status} ${response.statusText}`);
  return response.json();
}

function chosen({target}) {
  const [file] = target.files;
  if (file) see(file, file.name);
  target.value = ""; // so that the same file can be chosen again
}

/** Shows what a picture is; the last of those that come meanwhile is next. */
async function see(source, title) {
  if (part("file").disabled) return;
  if (busy) {
    waiting = [source, title];
    return;
  }
  busy = true;
  part("error").hidden = true;
  try {
    show(await looked(source), title.replace(/\.[^.]*$/, ""));
  } catch (error) {
    fail(`${title}: ${error.message}`);
  }
  busy = false;
  if (waiting) {
    const next = waiting;
    waiting = undefined;
    see(...next);
  }
}

/** {…picture, classes, seconds}, of a smaller picture where the memory is not enough. */
async function looked(source) {
  for (;;) {
    say("Reading the picture …");
    const picture = await read(source, most).catch((error) => {
      throw new Error(`it is no picture that this browser can read (${error.message})`);
    });
    say(`Looking at ${picture.width} × ${picture.height} pixels …`);
    try {
      return {...picture, ...(await network.classify(picture))};
    } catch (error) {
      const pixels = picture.width * picture.height;
      await network.restart();
      if (!OF_MEMORY.test(error.message) || pixels <= LEAST_PIXELS) throw error;
      most = Math.floor(pixels / 2);
    }
  }
}

function show({pixels, width, height, stored, classes, seconds}, title) {
  const photograph = new Uint8ClampedArray(width * height * 4).fill(255), overlay = photograph.slice();
  const counts = new Array(names.length).fill(0);
  for (let i = 0; i < classes.length; i += 1) {
    const k = classes[i];
    counts[k] += 1;
    photograph.set(pixels.subarray(3 * i, 3 * i + 3), 4 * i);
    overlay.set(colors[k], 4 * i);
  }
  draw("photograph", photograph, width, height);
  draw("overlay", overlay, width, height);
  shown = {title, pixels, map: [classes, width, height]};

  const present = [...counts.keys()].filter((k) => counts[k]).sort((a, b) => counts[b] - counts[a]);
  const shares = present.map((k) => `${names[k]} ${share(counts[k] / classes.length)}`);
  part("legend").replaceChildren(...present.map((k) => row(k, share(counts[k] / classes.length))));
  part("photograph").setAttribute("aria-label", `${title}: ${shares.join(", ")}`);
  const smaller = width * height < stored[0] * stored[1];
  const note = `; made smaller from ${stored.join(" × ")}, for ${most.toLocaleString("en")} pixels are the most that its memory holds`;
  part("caption").textContent = `${title}, ${width} × ${height} pixels${smaller ? note : ""}`;
  part("result").hidden = false;
  showOpacity();
  say(`Done in ${seconds.toFixed(seconds < 10 ? 2 : 1)} s: ${shares.slice(0, 3).join(", ")}${shares.length > 3 ? " …" : ""}`);
}

function draw(id, rgba, width, height) {
  const canvas = part(id);
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

function row(k, text) {
  const line = document.createElement("tr"), title = document.createElement("th"), value = document.createElement("td");
  const swatch = document.createElement("span");
  title.scope = "row";
  swatch.className = "swatch";
  swatch.style.backgroundColor = `rgb(${colors[k].join(" ")})`;
  title.append(swatch, names[k]);
  value.textContent = text;
  line.append(title, value);
  return line;
}

function share(part) {
  return part < 0.0005 ? "< 0.1 %" : `${(100 * part).toFixed(1)} %`;
}

function opacity() {
  return part("opacity").value / 100;
}

function showOpacity() {
  part("overlay").style.opacity = opacity();
  part("percent").textContent = `${part("opacity").value} %`;
}

/** [pixels, width, height] of the classes' colors laid over the picture, rounded as `ksac predict` does. */
function laidOver({pixels, map: [classes, width, height]}, weight) {
  const mixed = (value, color) => {
    const exact = Math.fround(value + Math.fround(Math.fround(weight) * (color - value)));
    const low = Math.floor(exact), up = exact - low > 0.5 || (exact - low === 0.5 && low % 2 === 1);
    return low + up;
  };
  const tables = colors.map((color) => color.map((c) => Uint8Array.from({length: 256}, (_, value) => mixed(value, c))));
  const result = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 1) result[i] = tables[classes[Math.floor(i / 3)]][i % 3][pixels[i]];
  return [result, width, height];
}

async function save(kind, png) {
  const link = document.createElement("a");
  link.download = `${shown.title}_${kind}.png`;
  link.href = URL.createObjectURL(await png);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function openCamera() {
  if (!navigator.mediaDevices) { // the page came over a network without encryption: a telephone's own camera still works
    part("capture").click();
    return;
  }
  try {
    const ideal = {facingMode: "environment", width: {ideal: 1920}, height: {ideal: 1080}};
    part("video").srcObject = await navigator.mediaDevices.getUserMedia({video: ideal});
    part("finder").showModal();
    await part("video").play();
  } catch (error) {
    fail(`The camera cannot be used: ${error.message}`);
  }
}

async function take() {
  const frame = await createImageBitmap(part("video"));
  part("finder").close();
  see(frame, "photograph");
}

function closeCamera() {
  for (const track of part("video").srcObject?.getTracks() ?? []) track.stop();
  part("video").srcObject = null;
}

function say(text) {
  part("status").textContent = text;
}

function fail(text) {
  say("");
  part("error").textContent = text;
  part("error").hidden = false;
}
