export { default as PoliciesPage } from "./policies-page.tsx";
export { NewPolicy, PolicyPage } from "./policy-page.tsx";
export { default as RoutesPage } from "./routes-page.tsx";
