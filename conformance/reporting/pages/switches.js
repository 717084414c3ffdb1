"use strict";
// The language of a page is that of its root element; the theme is a matter of style alone.
function speak(language) {
  document.documentElement.lang = language;
  const key = language === "en" ? "en" : "zh";
  for (const each of document.querySelectorAll("[data-en]")) each.textContent = each.dataset[key];
}
for (const each of document.querySelectorAll("[name=language]")) {
  each.addEventListener("change", () => speak(each.value));
}
document.getElementById("languages").hidden = false;
