/** The part of `digest` that other features may use. */
export { followProjects, type ProjectDigest, sendDigestOnce } from "./project-digests.ts";
