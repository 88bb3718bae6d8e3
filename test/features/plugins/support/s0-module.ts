/** S0's README, word for word. */
export const S0_MODULE = `import type { AppModule } from '../../shared/types/module'

const MyModule: AppModule = {
  name: 'my-module',
  version: '1.0.0',
  async register(server, services) {
    server.get('/my-route', async () => ({ hello: 'world' }))

    // Schedule a timer-triggered notification
    await services.timer.after('daily-digest', 86_400_000, {
      type: 'notify',
      payload: { userId: 'user-id', title: 'Daily Digest', body: 'Your summary.' }
    })

    // Emit an event to other modules
    services.events.emit('my-module:initialized', { at: services.time.now().toISO() })
  }
}

export default MyModule
`;
