"use strict";
// The language of a page is that of its root element; the style sheet does the theme.
function speak(language) {
  document.documentElement.lang = language;
  const key = language === "en" ? "en" : "zh";
  for (const node of document.querySelectorAll("[data-en]")) node.textContent = node.dataset[key];
}
for (const radio of document.querySelectorAll("[name=language]")) {
  radio.addEventListener("change", () => speak(radio.value));
}
document.getElementById("languages").hidden = false;
