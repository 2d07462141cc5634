// What leaves the page: a link, a picture; and what a page that embeds this one may hide.
"use strict";
const share = (() => {
  const { $, show } = text;

  // ---- ?embed=1 and ?hide=map,charts ----------------------------------------------------------------------------------

  const PARTS = ["title", "tour", "text", "charts", "map", "tools", "settings", "footer"];
  const EMBEDDED = ["title", "tour", "charts", "map", "tools", "settings", "footer"];
  const query = new URLSearchParams(location.search);
  const embedded = query.get("embed") === "1";
  const hidden = new Set([...(embedded ? EMBEDDED : []), ...(query.get("hide") ?? "").split(",")].filter((part) => PARTS.includes(part)));
  for (const part of hidden) document.body.classList.add(`no-${part}`);
  document.body.classList.toggle("embed", embedded);

  const link = () => `${location.href.split(/[?#]/)[0]}#${settings.hash()}`;

  // In an embedded page: the way to all of it, with these settings
  $("open").hidden = !embedded;
  const follow = () => { if (embedded) $("open").firstElementChild.href = link(); };

  // ---- the link -------------------------------------------------------------------------------------------------------

  async function copy() {
    try {
      await navigator.clipboard.writeText(link());
      said("copy", "Link copied");
    } catch { // a browser that does not allow it: the link stands there to be copied by hand
      $("link").hidden = false;
      $("link").value = link();
      $("link").select();
    }
  }

  function said(id, what) {
    const before = $(id).textContent;
    show(id, what);
    show("status", what);
    $(id).disabled = true;
    setTimeout(() => { show(id, before); $(id).disabled = false; }, 1600);
  }

  // ---- the picture ----------------------------------------------------------------------------------------------------

  // One canvas with the spheres, what is said of them, the charts and the map
  function picture() {
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d"), width = 1200, edge = 40;
    const wide = width - 2 * edge, balls = ["sphere", "sphere-1"].map($).filter((ball) => ball.clientWidth);
    const serif = "Georgia, serif", lines = [];
    const write = (what, font, tint) => {
      pen.font = font;
      let line = "";
      for (const one of what.trim().split(/\s+/)) {
        if (line && pen.measureText(`${line} ${one}`).width > wide) { lines.push([line, font, tint]); line = ""; }
        line += (line ? " " : "") + one;
      }
      lines.push([line, font, tint]);
    };
    const { values } = settings;
    write(`Learning rate ${$("x-units").textContent}, ${$("x-value").textContent}; ${losses[values.loss].timeless ? "" : `τ = ${values.tau}, `}${values.momentum > 0 ? `β = ${values.momentum}, ` : ""}n = ${values.n}, d = ${values.dim}, ` +
      `${losses[values.loss].name} loss, ${values.gradient} gradient, seed ${values.seed}, step ${$("now-count").textContent}`, `20px ${ink.FONT}`, "--quiet");
    balls.forEach((_, k) => {
      const said = (id) => $(id + report.SUFFIX[k]).textContent, badge = said("badge");
      if (balls.length > 1) write($(`caption-${k}`).textContent, `600 22px ${serif}`, charts.TINTS[k]);
      write(said("theory"), `22px ${serif}`, "--ink");
      write((badge && `${badge}: `) + said("words"), `20px ${ink.FONT}`, "--ink");
    });
    const plots = ["plot-R", "plot-rank", "plot-third"].map($).filter((plot) => plot.clientWidth), size = balls.length > 1 ? 480 : 560;
    const map = ["map", "plot-edge"].map($).find((wide) => wide.clientWidth), tall = map ? (wide * map.height) / map.width : 0;
    canvas.width = width;
    canvas.height = 110 + size + 30 * lines.length + (plots.length ? 150 : 0) + (map ? tall + 50 : 0) + 60;
    pen.fillStyle = ink.colour("--paper");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = ink.colour("--ink");
    pen.font = `600 34px ${serif}`;
    pen.fillText(document.querySelector("h1").textContent, edge, 64, wide);
    balls.forEach((ball, k) => pen.drawImage(ball, width / 2 + (k - balls.length / 2) * (size + 40) + 20, 90, size, size));
    let y = 120 + size;
    for (const [line, font, tint] of lines) {
      pen.font = font;
      pen.fillStyle = ink.colour(tint);
      pen.fillText(line, edge, y);
      y += 30;
    }
    plots.forEach((plot, k) => {
      const part = wide / plots.length, high = Math.min(100, (part * plot.height) / plot.width);
      pen.font = `16px ${ink.FONT}`;
      pen.fillStyle = ink.colour("--quiet");
      pen.fillText(plot.closest("tr").querySelector("th").firstChild.textContent, edge + k * part + 30, y + 10);
      pen.drawImage(plot, edge + k * part, y + 20, part - 20, high);
    });
    if (plots.length) y += 150;
    if (map) {
      pen.font = `16px ${ink.FONT}`;
      pen.fillText(map === $("map") ? `Where runs end: ${$("map-axis").textContent} upwards, learning rate from 1/16 to 16 of the slider’s units to the right, theory’s lines over it` :
        "Stable rate 2(1 + β)/sharpness over the steps; dashed: the learning rate", edge, y + 10, wide);
      pen.drawImage(map, edge, y + 24, wide, tall);
    }
    pen.font = `15px ${ink.FONT}`;
    pen.fillStyle = ink.colour("--quiet");
    pen.fillText(`clopsim lab #${settings.hash()}`, edge, canvas.height - 22, wide);
    return canvas;
  }

  function save() {
    picture().toBlob((blob) => {
      const address = URL.createObjectURL(blob);
      Object.assign(document.createElement("a"), { href: address, download: "clopsim-lab.png" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
      said("save", "Picture saved");
    });
  }

  $("copy").addEventListener("click", copy);
  $("save").addEventListener("click", save);
  return { follow, hidden };
})();
