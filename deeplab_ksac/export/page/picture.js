// A picture as the network takes it: RGB, upright, transparency on white, colors as they are stored.

/**
 * The pixels of a file (Blob) or of what a camera shows (video element), made smaller where there are more than `most`:
 * {pixels: Uint8Array [height · width · 3], width, height, stored: [width, height] of all that there are}.
 */
export async function read(source, most) {
  let bitmap = await createImageBitmap(source, AS_STORED);
  const stored = [bitmap.width, bitmap.height];
  const scale = Math.sqrt(most / (bitmap.width * bitmap.height));
  if (scale < 1) {
    const [width, height] = stored.map((side) => Math.max(1, Math.floor(side * scale)));
    const whole = bitmap;
    const size = {resizeWidth: width, resizeHeight: height, resizeQuality: "high"};
    bitmap = await createImageBitmap(whole, {...AS_STORED, ...size});
    whole.close();
  }
  const {width, height} = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return {pixels: withoutAlpha(context.getImageData(0, 0, width, height).data), width, height, stored};
}

const AS_STORED = {imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none"};

function withoutAlpha(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}
