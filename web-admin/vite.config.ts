import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  build: { manifest: true, target: 'es2022' },
  // For development beside a running control plane.
  server: { proxy: { '/api': process.env.REEVE_CONTROL_URL ?? 'http://127.0.0.1:8081' } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
});
