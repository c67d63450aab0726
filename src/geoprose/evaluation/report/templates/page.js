(function () {
  "use strict";
  var gallery = document.getElementById("gallery");
  if (!gallery) { return; }
  var cards = Array.prototype.slice.call(gallery.querySelectorAll(".example"));
  var type = document.getElementById("filter-type");
  var state = document.getElementById("filter-state");
  var words = document.getElementById("filter-text");
  var count = document.getElementById("filter-count");
  var texts = cards.map(function (card) { return card.textContent.toLowerCase(); });
  function apply() {
    var wanted = words.value.toLowerCase();
    var shown = 0;
    cards.forEach(function (card, place) {
      var fits = (!type.value || card.dataset.type === type.value) &&
        (!state.value || card.dataset.state === state.value) &&
        (!wanted || texts[place].indexOf(wanted) >= 0);
      card.hidden = !fits;
      if (fits) { shown += 1; }
    });
    gallery.querySelectorAll(".group").forEach(function (group) {
      group.hidden = !group.querySelector(".example:not([hidden])");
    });
    count.textContent = shown + " of " + cards.length + " examples";
  }
  [type, state].forEach(function (control) { control.addEventListener("change", apply); });
  words.addEventListener("input", apply);
  document.getElementById("filters").hidden = false;
  apply();
}());
