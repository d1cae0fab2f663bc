/** Files on messages: pictures as pictures, text, Markdown and JSON as a preview that opens, everything to download. */

import { safeUrl } from "./chips.js";
import { shell } from "./dialog.js";
import { h, icon } from "./dom.js";
import { localImage } from "./elements.js";
import { markdown } from "./markdown.js";

const PREVIEW_LINES = 8;

/** @param {import("./types.js").FileInfo} file */
export function fileCard(file) {
  const url = safeUrl(localPath(file.url));
  if (file.mimetype?.startsWith("image/") && localImage(url)) {
    return h(
      "figure",
      { class: "block-image file-image" },
      h("figcaption", null, nameOf(file)),
      h("img", { src: localImage(url), alt: nameOf(file), loading: "lazy" }),
    );
  }
  return h(
    "div",
    { class: "file-card", data: { testid: "file", file: file.id } },
    h(
      "div",
      { class: "file-head" },
      icon("file"),
      h(
        "span",
        { class: "file-name" },
        nameOf(file),
        h("small", null, [kindOf(file), sizeOf(file.size)].filter(Boolean).join(" · ")),
      ),
      file.preview
        ? h("button", { type: "button", class: "button small", on: { click: () => openFile(file, url) } }, "View")
        : null,
      url
        ? h(
            "a",
            {
              class: "icon-button",
              href: url,
              download: file.name,
              "aria-label": `Download ${file.name}`,
              title: "Download",
            },
            icon("download"),
          )
        : null,
    ),
    file.preview
      ? h("pre", { class: "file-preview" }, file.preview.split("\n").slice(0, PREVIEW_LINES).join("\n"))
      : null,
  );
}

const nameOf = (file) => file.title || file.name || "File";

/** The sandbox may be reached under another address than the one it wrote into the file. */
function localPath(url) {
  const local = localImage(url ?? "");
  return local?.startsWith("http") && new URL(local).pathname.startsWith("/files/") ? new URL(local).pathname : url;
}

function kindOf(file) {
  const ending = /\.(\w+)$/.exec(file.name ?? "")?.[1];
  return { md: "Markdown", json: "JSON", txt: "Plain text", log: "Log", csv: "CSV" }[ending] ?? ending?.toUpperCase();
}

function sizeOf(bytes) {
  if (!bytes) return "";
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`;
}

async function openFile(file, url) {
  const body = h("div", { class: "file-full", tabindex: "0" }, "Loading…");
  const dialog = shell({
    title: nameOf(file),
    body,
    testid: "file-dialog",
    wide: true,
    onDismiss: () => dialog.close(),
  });
  const text = await fetch(url)
    .then((answer) => (answer.ok ? answer.text() : file.preview))
    .catch(() => file.preview);
  body.replaceChildren(content(file, text));
}

function content(file, text) {
  if (/\.md$/i.test(file.name) || file.mimetype === "text/markdown") return markdown(text);
  if (/\.json$/i.test(file.name) || file.mimetype === "application/json")
    return h("pre", { class: "code-block" }, indented(text));
  return h("pre", { class: "code-block" }, text);
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
