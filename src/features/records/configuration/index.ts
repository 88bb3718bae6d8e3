/** The part of `configuration` that the app uses. */

export { refusingLocked } from "./locked-routes.ts";
