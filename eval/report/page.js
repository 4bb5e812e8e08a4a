"use strict";
// Without this the page is whole, but for sliders and zoom. Names are set as text, never as markup.
const ZOOM = 4;

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function follow(section, event) {
  const box = event.currentTarget.getBoundingClientRect();
  section.style.setProperty("--x", 100 * (event.clientX - box.left) / box.width + "%");
  section.style.setProperty("--y", 100 * (event.clientY - box.top) / box.height + "%");
}

function addZoom(section, frame) {
  frame.addEventListener("pointermove", (event) => follow(section, event));
  frame.addEventListener("click", (event) => {
    follow(section, event);
    section.style.setProperty("--zoom", section.classList.toggle("zoomed") ? ZOOM : 1);
  });
}

function addSlider(section, figures) {
  const names = figures.map((figure) => figure.dataset.name);
  const choose = (label, first) => {
    const options = names.map((name, place) => make("option", { value: place, textContent: name, selected: place === first }));
    const select = make("select", {}, ...options);
    select.setAttribute("aria-label", label);
    return select;
  };
  // The teacher on the left, the last student on the right; its difference comes after it.
  const selects = [choose("left picture", 1), choose("right picture", names.length - 2)];
  const pictures = [make("img", { alt: "" }), make("img", { alt: "" })];
  const stack = make("div", { className: "stack frame" }, pictures[0], make("div", { className: "over frame" }, pictures[1]));
  const range = make("input", { type: "range", min: 0, max: 100, value: 50 });
  range.setAttribute("aria-label", "share of the left picture, per cent");
  const compare = make("div", { className: "compare" }, stack, range, ...selects);
  const show = () => {
    selects.forEach((select, side) => { pictures[side].src = figures[select.value].querySelector("img").src; });
    compare.style.setProperty("--cut", range.value + "%");
  };
  compare.addEventListener("input", show);
  show();
  addZoom(section, stack);
  section.querySelector("h3").after(compare);
}

for (const section of document.querySelectorAll(".case")) {
  const figures = [...section.querySelectorAll("figure")];
  figures.forEach((figure) => addZoom(section, figure.querySelector(".frame")));
  addSlider(section, figures);
  section.classList.add("live");
}
document.querySelectorAll(".hint").forEach((hint) => { hint.hidden = false; });
