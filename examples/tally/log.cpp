namespace {

std::mutex g_lock;
std::FILE *g_file;

void write(const char *level, const char *format, va_list arguments)
{
    char line[1024];
    std::vsnprintf(line, sizeof line, format, arguments);
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const long long ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    const std::lock_guard<std::mutex> lock(g_lock);
    for (std::FILE *place : {stderr, g_file}) {
        if (place) {
            std::fprintf(place, "%lld %s %s\n", ms, level, line);
            std::fflush(place);
        }
    }
}

} // namespace

void LogInfo(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write("info", format, arguments);
    va_end(arguments);
}

void LogError(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write("error", format, arguments);
    va_end(arguments);
}

void LogToFile(const std::string &path)
{
    std::FILE *file = std::fopen(path.c_str(), "a");
    {
        const std::lock_guard<std::mutex> lock(g_lock);
        std::swap(g_file, file);
    }
    if (file)
        std::fclose(file);
}
