export { default as ProjectPage } from "./project.tsx";
export { default as ProjectList } from "./project-list.tsx";
