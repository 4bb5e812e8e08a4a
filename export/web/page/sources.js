// Where pictures come from: the camera, a photo or a film from disk, the pictures of the page.

// Canvases of phones end at some 16 million pixels.
const MOST_PIXELS = 16e6;
const LONGEST_SIDE = 4096;

const TROUBLES = {
  NotAllowedError: "This page was not allowed to use the camera.\nAllow it in the browser's settings of this page, or choose a photo or a film.",
  NotFoundError: "This device has no camera that the browser can find. Choose a photo or a film.",
  OverconstrainedError: "This device has no other camera.",
  NotReadableError: "The camera is in use by another program. Close that, and try again.",
};

export class Trouble extends Error {}

// Open the camera as a stream.
export async function openCamera(facing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Trouble(
      "The browser gives the camera to pages that come over https or from this device alone.\nChoose a photo or a film.",
    );
  }
  const video = { facingMode: facing, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    throw new Trouble(TROUBLES[error.name] ?? `The camera does not start: ${error.message}`);
  }
}

export async function hasOtherCamera() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput").length > 1;
}

// Read a photo as an ImageBitmap, upright, and no larger than a canvas may be.
export async function readPhoto(file) {
  let whole;
  try {
    whole = await createImageBitmap(file);
  } catch {
    throw new Trouble(`${file.name ?? "This file"} is no picture that this browser reads.`);
  }
  const { width, height } = whole;
  const share = Math.min(1, LONGEST_SIDE / Math.max(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
  const size = { resizeWidth: Math.round(width * share), resizeHeight: Math.round(height * share), resizeQuality: "high" };
  const smaller = share === 1 ? whole : await createImageBitmap(whole, size);
  if (smaller !== whole) whole.close();
  return onWhite(smaller);
}

// What is transparent shows white, as in Python; left as it is, a canvas would show through what it held before.
function onWhite(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

// Open a stream or a film's file as a video element that plays.
export async function openVideo(source) {
  const video = document.createElement("video");
  video.playsInline = true;
  video.muted = source instanceof MediaStream;
  if (source instanceof MediaStream) video.srcObject = source;
  else video.src = URL.createObjectURL(source);
  try {
    await video.play();
  } catch {
    closeVideo(video);
    throw new Trouble(`${source.name ?? "The camera"} does not play in this browser.`);
  }
  return video;
}

export function closeVideo(video) {
  video.pause();
  video.srcObject?.getTracks().forEach((track) => track.stop());
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
}

// Call `take` for each frame of a video that comes while none is being worked on; the function that it returns ends that.
export function followFrames(video, take) {
  let isOver = false;
  let number;
  const has = "requestVideoFrameCallback" in video;
  const next = () => {
    number = has ? video.requestVideoFrameCallback(step) : requestAnimationFrame(step);
  };
  const step = async () => {
    if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !(video.paused && !has)) await take(video);
    if (!isOver) next();
  };
  next();
  return () => {
    isOver = true;
    if (has) video.cancelVideoFrameCallback(number);
    else cancelAnimationFrame(number);
  };
}
