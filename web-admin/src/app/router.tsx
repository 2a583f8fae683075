import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { queryClient, session } from '../api/queries';
import { Login } from '../screens/login';
import { Shell } from './shell';

const text = (value: unknown) =>
  typeof value === 'string' && value !== ''
    ? value
    : typeof value === 'number'
      ? `${value}`
      : undefined;

const root = createRootRoute();

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (search: Record<string, unknown>) => ({ next: text(search.next) }),
  component: Login,
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: Shell,
  beforeLoad: async ({ location }) => {
    const user = await queryClient.ensureQueryData(session).catch(() => null);
    if (!user) throw redirect({ to: '/login', search: { next: location.href } });
  },
});

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  validateSearch: (search: Record<string, unknown>) => ({ days: text(search.days) }),
  component: lazyRouteComponent(() => import('../screens/overview'), 'Overview'),
});

const FILTERS = [
  'tenant',
  'kind',
  'status',
  'code',
  'region',
  'decision',
  'from',
  'until',
  'after',
] as const;
export type AuditSearch = Partial<Record<(typeof FILTERS)[number], string>>;

const audit = createRoute({
  getParentRoute: () => signedIn,
  path: '/audit',
  validateSearch: (search: Record<string, unknown>): AuditSearch =>
    Object.fromEntries(FILTERS.map((name) => [name, text(search[name])])),
  component: lazyRouteComponent(() => import('../screens/audit'), 'Audit'),
});

const decision = createRoute({
  getParentRoute: () => signedIn,
  path: '/decisions/$id',
  component: lazyRouteComponent(() => import('../screens/decision'), 'Decision'),
});

const tenants = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants',
  component: lazyRouteComponent(() => import('../screens/tenants'), 'Tenants'),
});

const tenant = createRoute({
  getParentRoute: () => signedIn,
  path: '/tenants/$id',
  component: lazyRouteComponent(() => import('../screens/tenant'), 'Tenant'),
});

const policy = createRoute({
  getParentRoute: () => signedIn,
  path: '/policy',
  component: lazyRouteComponent(() => import('../screens/policy'), 'Policy'),
});

const changes = createRoute({
  getParentRoute: () => signedIn,
  path: '/changes',
  component: lazyRouteComponent(() => import('../screens/changes'), 'Changes'),
});

const change = createRoute({
  getParentRoute: () => signedIn,
  path: '/changes/$id',
  validateSearch: (search: Record<string, unknown>): { tab?: string | undefined } => ({
    tab: text(search.tab),
  }),
  component: lazyRouteComponent(() => import('../screens/change'), 'Change'),
});

const emergency = createRoute({
  getParentRoute: () => signedIn,
  path: '/emergency',
  component: lazyRouteComponent(() => import('../screens/emergency'), 'Emergency'),
});

const evidence = createRoute({
  getParentRoute: () => signedIn,
  path: '/evidence',
  component: lazyRouteComponent(() => import('../screens/evidence'), 'Evidence'),
});

const keeping = createRoute({
  getParentRoute: () => signedIn,
  path: '/keeping',
  component: lazyRouteComponent(() => import('../screens/keeping'), 'Keeping'),
});

const receipt = createRoute({
  getParentRoute: () => root,
  path: '/receipt',
  component: lazyRouteComponent(() => import('../receipt/screen'), 'ReceiptPage'),
});

const usage = createRoute({
  getParentRoute: () => signedIn,
  path: '/usage',
  validateSearch: (search: Record<string, unknown>) => ({
    tenant: text(search.tenant),
    from: text(search.from),
    until: text(search.until),
  }),
  component: lazyRouteComponent(() => import('../screens/usage'), 'Usage'),
});

const models = createRoute({
  getParentRoute: () => signedIn,
  path: '/models',
  component: lazyRouteComponent(() => import('../screens/models'), 'Models'),
});

const model = createRoute({
  getParentRoute: () => signedIn,
  path: '/models/$name',
  component: lazyRouteComponent(() => import('../screens/model'), 'Model'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    receipt,
    signedIn.addChildren([
      overview,
      audit,
      decision,
      tenants,
      tenant,
      policy,
      changes,
      change,
      emergency,
      evidence,
      keeping,
      usage,
      models,
      model,
    ]),
  ]),
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
