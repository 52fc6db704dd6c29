// PNG files with exactly the values that they are given: a canvas would write RGBA.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GRAY_OR_INDEX = 3, RGB = 2; // the format's color types
const TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** One value a pixel, [height · width], with the palette [[red, green, blue], …] -> Blob. */
export async function indexPng(values, width, height, palette) {
  return encoded(values, width, height, GRAY_OR_INDEX, [["PLTE", Uint8Array.from(palette.flat())]]);
}

/** Red, green, blue of each pixel, [height · width · 3] -> Blob. */
export async function rgbPng(values, width, height) {
  return encoded(values, width, height, RGB, []);
}

async function encoded(values, width, height, colorType, between) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits
  header.setUint8(9, colorType);
  const row = values.length / height;
  const lines = new Uint8Array(values.length + height); // each begins with its filter, 0: none
  for (let y = 0; y < height; y += 1) lines.set(values.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const stream = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate")); // with zlib's header
  const data = new Uint8Array(await new Response(stream).arrayBuffer());
  const chunks = [["IHDR", new Uint8Array(header.buffer)], ...between, ["IDAT", data], ["IEND", new Uint8Array(0)]];
  return new Blob([Uint8Array.from(SIGNATURE), ...chunks.flatMap(chunk)], {type: "image/png"});
}

function chunk([name, data]) {
  const frame = new DataView(new ArrayBuffer(8)), end = new DataView(new ArrayBuffer(4));
  frame.setUint32(0, data.length);
  for (let i = 0; i < 4; i += 1) frame.setUint8(4 + i, name.charCodeAt(i));
  let sum = ~0;
  for (const part of [new Uint8Array(frame.buffer, 4), data]) {
    for (const byte of part) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  }
  end.setUint32(0, ~sum >>> 0);
  return [frame.buffer, data, end.buffer];
}
