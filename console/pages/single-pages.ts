/* One chunk for the groups of a single page: a file for each of them compresses worse. */
export { default as Audit } from "./audit/audit.tsx";
export { default as Backups } from "./backups/backups.tsx";
export { default as Buckets } from "./buckets/buckets.tsx";
export { default as ClusterPage } from "./cluster/cluster.tsx";
export { default as Configuration } from "./configuration/configuration.tsx";
export { default as Modules } from "./modules/modules.tsx";
export { default as Reference } from "./reference/reference.tsx";
export { default as Settings } from "./settings/settings.tsx";
export { default as Sounds } from "./sounds/sounds-page.tsx";
export { default as Tasks } from "./tasks/tasks.tsx";
