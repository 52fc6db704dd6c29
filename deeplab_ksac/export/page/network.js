// The network, in a thread of its own: {pixels, width, height} -> {classes, seconds} or {failed}.

import * as ort from "./runtime/ort.wasm.min.mjs";

const here = (name) => new URL(name, import.meta.url).href;

ort.env.logLevel = "error";
ort.env.wasm.wasmPaths = here("./runtime/");

const loading = ort.InferenceSession.create(here("./model.onnx"), {executionProviders: ["wasm"]});
loading.then(() => postMessage({ready: true}), (error) => postMessage({failed: String(error?.message ?? error)}));

self.onmessage = async ({data: {pixels, width, height}}) => {
  try {
    const session = await loading;
    const begun = performance.now();
    const image = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    const {classes} = await session.run({image});
    const seconds = (performance.now() - begun) / 1000;
    postMessage({classes: classes.data, seconds}, [classes.data.buffer]);
  } catch (error) {
    postMessage({failed: String(error?.message ?? error)});
  }
};
