// The page: its controls, and the way of a picture from its source to the screen.

import { addressOf, readAsset, readText } from "./assets.js";
import { Engine } from "./engine.js";
import { Numbers } from "./numbers.js";
import { Picture } from "./picture.js";
import { canRecord, nameOf, record } from "./recording.js";
import { Trouble, closeVideo, followFrames, hasOtherCamera, openCamera, openVideo, readPhoto } from "./sources.js";

const element = (id) => document.getElementById(id);
const numbers = new Numbers();
const picture = new Picture(element("picture"));
let lens;
let engine;
let current = null;
let recording = null;
let facing = "user";

// Said by a screen reader, so only where something changed.
function say(text) {
  if (element("status").textContent !== text) element("status").textContent = text;
}

function complain(error) {
  element("trouble").textContent = error instanceof Trouble ? error.message : `Something failed: ${error?.message ?? error}`;
  element("trouble").hidden = false;
}

function findMissing() {
  if (typeof WebAssembly !== "object") {
    return "This browser runs no WebAssembly, which the model needs. It may be switched off, as in a lockdown mode; "
      + "switch it on for this page, or open the page in another browser.";
  }
  if (typeof Worker !== "function" || typeof OffscreenCanvas !== "function" || typeof createImageBitmap !== "function") {
    return "This browser is too old for this page: it draws no pictures in the background. Use one of 2023 or later.";
  }
  return null;
}

async function start() {
  const missing = findMissing();
  if (missing) throw new Trouble(missing);
  lens = JSON.parse(await readText("lens.json"));
  element("name").textContent = lens.name;
  document.title = `${lens.name} · PocketGAN lens`;
  const kilobytes = (lens.student.size_bytes / 1000).toFixed(1);
  numbers.show("model-size", lens.student.size_bytes, `${kilobytes} kB, ${lens.size_px} px`);
  const begun = performance.now();
  const { engine: started, isRelaxed } = await Engine.start(lens);
  engine = started;
  const loadMs = performance.now() - begun;
  numbers.show("load-ms", loadMs, `${Math.round(loadMs)} ms, ${isRelaxed ? "relaxed SIMD" : "without relaxed SIMD"}`);
  const { differing, largest, values } = await engine.check(await readAsset("check.bin"));
  const found = differing ? `${differing} of ${values} values, by ${largest}/255 at most` : `none of ${values} values`;
  numbers.show("difference", largest, found);
  for (const id of ["camera", "file"]) element(id).disabled = false;
  await offerPictures();
  say("Ready. Start the camera, or choose a picture.");
  document.documentElement.dataset.state = "ready";
}

async function offerPictures() {
  for (const { file, alt } of lens.pictures) {
    const button = document.createElement("button");
    const image = document.createElement("img");
    const address = await addressOf(file, "image/jpeg");
    [image.src, image.alt] = [address, alt];
    button.type = "button";
    button.append(image);
    button.addEventListener("click", () => attempt(async () => {
      await showPhoto(new Blob([await readAsset(file)], { type: "image/jpeg" }));
    }));
    element("pictures").append(button);
  }
}

// Run what a control asks for; what goes wrong is told on the page.
async function attempt(action) {
  element("trouble").hidden = true;
  try {
    await action();
  } catch (error) {
    say("That did not work.");
    complain(error);
  }
}

// Translate a picture of a source and show it; `seconds` is its time in a film.
async function translate(source, bitmap, seconds) {
  const begun = performance.now();
  const translated = await engine.translate(bitmap, seconds, element("detail").checked);
  // Meanwhile another source may have been chosen.
  if (current !== source) {
    translated.picture.close();
    return;
  }
  picture.show(translated);
  numbers.addFrame(performance.now() - begun, translated.studentMs);
  tellWhatIsSeen(translated.patches.length > 0);
}

function tellWhatIsSeen(isTranslated) {
  const what = { camera: "The camera's picture", film: "The film", photo: "The picture" }[current.kind];
  const faces = lens.region === "whole" ? "translated" : "its largest face translated";
  const text = isTranslated ? `${what}, ${faces}` : `${what}, untouched: no face was found in it`;
  if (element("picture").getAttribute("aria-label") !== text) element("picture").setAttribute("aria-label", text);
  say(`${text}.`);
}

async function stopCurrent() {
  if (recording) await endRecording();
  current?.end?.();
  if (current?.video) closeVideo(current.video);
  current = null;
  numbers.restart();
  showCameraState(false);
  for (const id of ["pause", "other-camera"]) element(id).hidden = true;
  element("record").disabled = true;
}

function showCameraState(isOn) {
  showSwitch("camera", isOn, isOn ? "Stop the camera" : "Camera");
}

// Show a button that starts and stops something: by what it says, and by its colour.
function showSwitch(id, isOn, text) {
  element(id).classList.toggle("on", isOn);
  element(id).textContent = text;
}

async function showPhoto(file) {
  const bitmap = await readPhoto(file);
  await stopCurrent();
  begin({ kind: "photo", file }, { isMirrored: false });
  await translate(current, bitmap, null);
}

async function toggleCamera() {
  if (current?.kind !== "camera") return showCamera();
  await stopCurrent();
  return say("The camera is off.");
}

async function showCamera() {
  // Two streams of one camera are refused on phones.
  await stopCurrent();
  say("Waiting for the camera.");
  const video = await openVideo(await openCamera(facing));
  begin({ kind: "camera", video }, { isMirrored: facing === "user" });
  showCameraState(true);
  element("other-camera").hidden = !(await hasOtherCamera());
}

async function showFilm(file) {
  const video = await openVideo(file);
  await stopCurrent();
  begin({ kind: "film", video }, { isMirrored: false });
  video.addEventListener("ended", () => attempt(async () => {
    if (recording) await endRecording();
    showPaused(true);
  }));
  showPaused(false);
  element("pause").hidden = false;
}

// Translate what stands still anew.
async function translateAgain() {
  if (current?.kind === "photo") await translate(current, await readPhoto(current.file), null);
  else if (current?.video.paused) await translateFrame(current);
}

async function translateFrame(source) {
  await translate(source, await createImageBitmap(source.video), performance.now() / 1000);
}

function begin(source, { isMirrored }) {
  current = source;
  element("mirror").checked = isMirrored;
  picture.isMirrored = isMirrored;
  element("view").hidden = false;
  element("save").disabled = false;
  element("record").disabled = source.kind === "photo" || !canRecord();
  if (source.video) {
    source.end = followFrames(source.video, async () => {
      try {
        await translateFrame(source);
      } catch (error) {
        if (current === source) complain(error);
      }
    });
  }
}

function showPaused(isPaused) {
  element("pause").textContent = isPaused ? "Play" : "Pause";
}

async function pause() {
  const { video } = current;
  if (video.paused) await video.play();
  else video.pause();
  showPaused(video.paused);
}

async function toggleRecording() {
  if (recording) {
    await endRecording();
    return;
  }
  recording = record(element("picture"), current.kind === "film" ? current.video : null);
  showSwitch("record", true, "Stop recording");
  element("download").hidden = true;
}

async function endRecording() {
  const file = await recording.stop();
  recording = null;
  showSwitch("record", false, "Record");
  offerFile(file, "lens");
  element("download").dataset.bytes = file.size;
}

function offerFile(file, name) {
  const link = element("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(file);
  link.download = nameOf(file, name);
  link.hidden = false;
}

function savePicture() {
  return new Promise((resolve) => {
    element("picture").toBlob((file) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = nameOf(file, "lens");
      link.click();
      URL.revokeObjectURL(link.href);
      resolve();
    });
  });
}

function setSplit(percent) {
  picture.split = Math.min(100, Math.max(0, percent));
  element("split").value = picture.split;
  element("split").setAttribute("aria-valuetext", `${Math.round(picture.split)} % untouched`);
  picture.draw();
}

function listen() {
  element("camera").addEventListener("click", () => attempt(toggleCamera));
  element("other-camera").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    attempt(showCamera);
  });
  element("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) attempt(() => (file.type.startsWith("video/") ? showFilm(file) : showPhoto(file)));
    // So that the same file can be chosen again.
    target.value = "";
  });
  element("mirror").addEventListener("change", ({ target }) => {
    picture.isMirrored = target.checked;
    picture.draw();
  });
  element("detail").addEventListener("change", () => attempt(translateAgain));
  element("pause").addEventListener("click", () => attempt(pause));
  element("record").addEventListener("click", () => attempt(toggleRecording));
  element("save").addEventListener("click", () => attempt(savePicture));
  element("split").addEventListener("input", ({ target }) => setSplit(Number(target.value)));
  element("picture").addEventListener("pointermove", (event) => {
    if (event.buttons !== 1) return;
    const { left, width } = element("picture").getBoundingClientRect();
    setSplit((100 * (event.clientX - left)) / width);
  });
}

listen();
start().catch((error) => {
  say("This page cannot run here.");
  complain(error);
  document.documentElement.dataset.state = "failed";
});
