/** oidc-provider ships no types; the bench uses its constructor and `listen` only. */
declare module 'oidc-provider' {
  import type { Server } from 'node:http';
  class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    listen(port: number, host: string, listener: () => void): Server;
  }
  export { Provider as default };
}
