export { default as Pending } from "./pending.tsx";
export { default as PeopleList } from "./people-list.tsx";
export { default as PersonPage } from "./person.tsx";
export { default as Roles } from "./roles.tsx";
