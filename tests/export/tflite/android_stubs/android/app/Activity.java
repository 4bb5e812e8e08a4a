package android.app;

public class Activity extends android.content.Context {
    @Override public android.content.res.AssetManager getAssets() { return null; }
    @Override public android.content.ContentResolver getContentResolver() { return null; }
    @Override public java.io.File getCacheDir() { return null; }
    protected void onCreate(android.os.Bundle savedInstanceState) {}
    protected void onDestroy() {}
    public void setContentView(int layout) {}
    public final void runOnUiThread(Runnable action) {}
    public <T extends android.view.View> T findViewById(int id) { return null; }
}
