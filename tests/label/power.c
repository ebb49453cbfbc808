/* What a program does to the files of one folder, in order, and faults on request: loaded before libc (LD_PRELOAD).

   Every new file, write, truncation, sync and removal under POWER_FOLDER is written to POWER_BOOK after it was done, one
   at a time; tests.label.power reads the book and makes of it what a disk holds after a loss of power. Linux, 64 bits. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATED, WRITTEN, TRUNCATED, SYNCED, REMOVED, MARKED };
struct head { int32_t kind, name_length; int64_t place, length; };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int book = -1;
static char names[4096][512];   /* of open files under the folder */
static long until = -1, failed; /* operations before the fault; how many have failed */
static int fault, lasting;      /* the error; whether all after it fail as well */

__attribute__((constructor)) static void begin(void) {
    folder = getenv("POWER_FOLDER");
    const char *path = getenv("POWER_BOOK");
    if (folder && path) book = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int ours(const char *path) {
    return book >= 0 && path && strncmp(path, folder, strlen(folder)) == 0 && strlen(path) < sizeof names[0]
        && !strstr(path, "-shm") && !strstr(path, ".lock");
}

static const char *name_of(int fd) { return fd >= 0 && fd < 4096 && names[fd][0] ? names[fd] : NULL; }

static void note(enum kind kind, const char *name, int64_t place, int64_t length, const void *data) {
    struct head head = {kind, (int32_t)strlen(name), place, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, strlen(name)}, {(void *)data, data ? length : 0}};
    if (syscall(SYS_writev, book, parts, 3) < 0) abort();
}

/* Whether this operation is to fail; errno then says how. */
static int fails(void) {
    if (until < 0 || until-- > 0) return 0;
    if (lasting) until = 0;
    failed++;
    errno = fault;
    return 1;
}

void power_mark(int64_t number) {
    pthread_mutex_lock(&turn);
    note(MARKED, "", number, 0, NULL);
    pthread_mutex_unlock(&turn);
}

/* Let the operation after so many fail with an error, and all after it if it lasts (-1: none); how many failed before. */
int64_t power_fail(int64_t operations, int error, int lasts) {
    pthread_mutex_lock(&turn);
    long before = failed;
    until = operations, fault = error, lasting = lasts, failed = 0;
    pthread_mutex_unlock(&turn);
    return before;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (!ours(path)) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&turn);
    int made = (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = made && fails() ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < 4096) strcpy(names[fd], path);
    if (fd >= 0 && made) note(CREATED, path, 0, 0, NULL);
    pthread_mutex_unlock(&turn);
    return fd;
}

#define MODE(last) va_list more; va_start(more, last); mode_t mode = va_arg(more, int); va_end(more)
int open(const char *path, int flags, ...) { MODE(flags); return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags); return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags); return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags); return opened(at, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < 4096) names[fd][0] = 0;
    return syscall(SYS_close, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t place) {
    const char *name = name_of(fd);
    if (!name) return syscall(SYS_pwrite64, fd, data, length, place);
    pthread_mutex_lock(&turn);
    ssize_t done = fails() ? -1 : syscall(SYS_pwrite64, fd, data, length, place);
    if (done > 0) note(WRITTEN, name, place, done, data);
    pthread_mutex_unlock(&turn);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t place) { return pwrite64(fd, data, length, place); }

static int truncated(int fd, off64_t length) {
    const char *name = name_of(fd);
    if (!name) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&turn);
    int done = fails() ? -1 : (int)syscall(SYS_ftruncate, fd, length);
    if (done == 0) note(TRUNCATED, name, length, 0, NULL);
    pthread_mutex_unlock(&turn);
    return done;
}
int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

static int synced(int fd, long call) {
    const char *name = name_of(fd);
    if (!name) return syscall(call, fd);
    pthread_mutex_lock(&turn);
    int done = fails() ? -1 : (int)syscall(call, fd);
    if (done == 0) note(SYNCED, name, 0, 0, NULL);
    pthread_mutex_unlock(&turn);
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *path) {
    if (!ours(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&turn);
    int done = fails() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0) note(REMOVED, path, 0, 0, NULL);
    pthread_mutex_unlock(&turn);
    return done;
}
