// Recording what is seen to a file, with the sound of a film.

const KINDS = ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4", "video/webm;codecs=vp9,opus", "video/webm"];

export const canRecord = () => typeof MediaRecorder === "function" && "captureStream" in HTMLCanvasElement.prototype;

// Record a canvas until `stop` is called, which gives the file.
export function record(canvas, video) {
  const stream = canvas.captureStream();
  const sound = video?.captureStream ?? video?.mozCaptureStream;
  // A camera is asked for no sound, so only a film has any.
  for (const track of sound?.call(video).getAudioTracks() ?? []) stream.addTrack(track);
  const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  const recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 6e6 });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start(1000);
  return {
    stop: () => new Promise((resolve) => {
      recorder.onstop = () => {
        stream.getTracks().forEach((track) => track.stop());
        resolve(new Blob(parts, { type: recorder.mimeType }));
      };
      recorder.stop();
    }),
  };
}

// Return a name for a file of a kind.
export function nameOf(blob, what) {
  const ending = { "video/mp4": "mp4", "video/webm": "webm", "image/png": "png" }[blob.type.split(";")[0]] ?? "bin";
  return `${what}.${ending}`;
}
