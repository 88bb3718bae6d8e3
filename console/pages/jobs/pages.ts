export { default as JobPage } from "./job.tsx";
export { default as Jobs } from "./jobs.tsx";
export { default as Queues } from "./queues.tsx";
