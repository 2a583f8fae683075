import { QueryClient, queryOptions } from '@tanstack/react-query';
import { api, data, Refused, setCsrf } from './client';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays one; only what could not be reached is tried again.
      retry: (count, error) => count < 2 && !(error instanceof Refused && error.problem.status > 0),
    },
  },
});

export const session = queryOptions({
  queryKey: ['session'],
  queryFn: async () => {
    const signedIn = await data(api.GET('/api/v1/session'));
    setCsrf(signedIn.csrf);
    return signedIn;
  },
  staleTime: 60_000,
});

export const logs = queryOptions({
  queryKey: ['logs'],
  queryFn: () => data(api.GET('/api/v1/logs')),
  refetchInterval: 10_000,
});

export const model = (name: string) =>
  queryOptions({
    queryKey: ['models', name],
    queryFn: () => data(api.GET('/api/v1/models/{name}', { params: { path: { name } } })),
    refetchInterval: 5_000,
  });

export const tenants = queryOptions({
  queryKey: ['tenants'],
  queryFn: () => data(api.GET('/api/v1/tenants', { params: { query: { limit: 200 } } })),
});
