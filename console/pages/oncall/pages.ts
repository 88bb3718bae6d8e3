import "./oncall.css";

export { default as MyShifts } from "./my-shifts.tsx";
export { default as OnCallNow } from "./now.tsx";
export { default as SchedulePage } from "./schedule.tsx";
