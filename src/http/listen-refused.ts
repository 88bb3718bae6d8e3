/** The port cannot be had. The message says which, and what to do. */
export class ListenRefused extends Error {
  /** @param isExtra one of `extraPorts`. */
  constructor(host: string, port: number, isExtra = false) {
    const choice = isExtra ? "in extraPorts or PRISM_EXTRA_PORTS" : "with --port or PORT (0 takes a free one)";
    super(`cannot listen on ${host}:${port}: the port is taken or not allowed; choose another ${choice}`);
    this.name = "ListenRefused";
  }
}
