export { EditSilence, NewSilence } from "./silence-form-pages.tsx";
export { default as SilencePage } from "./silence-page.tsx";
export { default as SilencesPage } from "./silences-page.tsx";
