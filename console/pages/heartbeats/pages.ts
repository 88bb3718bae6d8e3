import "./heartbeats.css";

export { default as HeartbeatPage } from "./heartbeat.tsx";
export { default as Heartbeats } from "./heartbeats.tsx";
