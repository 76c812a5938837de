/* What the traps have in common; LAST_ERROR is defined before. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(p_is)                                                                                                    \
    do {                                                                                                               \
        if (!(p_is)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #p_is, LAST_ERROR());                              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

typedef struct trap {
    const char *p_name;
    void (*p_try)(void);
} trap;

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_changed = PTHREAD_COND_INITIALIZER;

static void count(int *p_place)
{
    pthread_mutex_lock(&g_lock);
    *p_place += 1;
    pthread_cond_broadcast(&g_changed);
    pthread_mutex_unlock(&g_lock);
}

static void wait_for(int *p_place, int p_count)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    pthread_mutex_lock(&g_lock);
    while (*p_place < p_count)
        CHECK(pthread_cond_timedwait(&g_changed, &g_lock, &end) == 0);
    pthread_mutex_unlock(&g_lock);
}

static int try_one(const trap *p_traps, size_t p_count, const char *p_name)
{
    size_t at;
    for (at = 0; at < p_count; ++at) {
        if (strcmp(p_traps[at].p_name, p_name) == 0) {
            p_traps[at].p_try();
            puts("ok");
            return 0;
        }
    }
    return 2;
}
