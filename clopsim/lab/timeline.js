// The timeline: a slider over the steps of a run. Dragged back it shows what was; from there a run goes on anew.
"use strict";
const timeline = (() => {
  const { $, show } = text;

  // onScrub(count) is called with the step that is wanted
  function listen(onScrub) {
    $("timeline").addEventListener("input", () => onScrub(Number($("timeline").value)));
  }

  function paint({ now, last }) {
    const slider = $("timeline");
    slider.max = String(last);
    slider.value = String(now.count);
    slider.disabled = last === 0;
    slider.setAttribute("aria-valuetext", `step ${now.count} of ${last}`);
    show("timeline-value", now.count === last ? String(last) : `${now.count} of ${last}`);
  }

  return { listen, paint };
})();
